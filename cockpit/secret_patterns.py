"""What secrets look like where nobody told us their values: key names, headers, options and token shapes.

Every quantifier has a bound, so that no text makes a search slow. Digests, UUIDs and commit
hashes have no shape of their own here, on purpose: operators need to read them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache

KEYS = (
    r"(?:pass(?:word|wd|phrase|code)|(?<=[_\-?&])pass|pwd(?!\s?[=:]\s?[/~])|(?:root|bind|admin|user)pw|psk"
    r"|(?<!‹)secret|token|api[_-]?key|access[_-]?key"
    r"|(?:private|secret|preshared|encryption|signing|master|auth|account)[_-]?key|phpsessid|jsessionid|connect\.sid)"
)
"""How names of secrets end; what stands before does not matter, as in `DB_PASSWORD`."""

NO_SECRET = re.compile(
    r"[*x•.·#-]+|<.*>?|\$.*|%.*|\{.*|/[^/]*/.*|(?:env|file|vault|ref):.*|\w+\(.*"
    r"|none|null|nil|true|false|yes|no|not|set|unset|empty|required|optional|invalid|missing|expired|revoked|incorrect|wrong"
    r"|failed|failure|denied|rejected|accepted|changed|unchanged|updated|unknown|unexpected|enabled|disabled|default|prompt"
    r"|redacted|hidden|masked|authentication|authorization|bearer|basic|digest|trust|peer|md5|scram-sha-256|never|str|string"
    r"|text|bytes|secretstr|granted|mismatch|refresh|rotation|rotated|verified",
    re.IGNORECASE,
)
"""What stands after such a name without being a secret: words, masks, paths and references."""

COMMON = "zqjxkvbpygfwmucldrhsnioate"
"""Letters from the rarest to the most common in what operators read; any other character is rarer."""

_VALUE = (
    r"(?:\\[\"'](?P<escaped>[^\"'\\\n]{3,400})"
    r"|b?(?P<quote>[\"'])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\\n]){3,400})"
    r"|(?P<bare>(?:[^\s\"'&;,<>\\]|,(?=\S)){3,400}[^\s\"'&;,<>)}\]\\]))"
)
_PROSE = r"(?![a-z]{1,20}[,.]?[ ][a-z(])"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SHAPES = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])",
    r"gh[pousr]_[A-Za-z0-9]{20,255}",
    r"github_pat_\w{20,255}",
    r"gl(?:pat|ptt|rt|dt|soat)-[\w-]{20,300}",
    r"xox[a-z]-[\w-]{10,300}",
    r"xapp-[\w-]{10,300}",
    r"sk-[\w-]{20,300}",
    r"[rsp]k_(?:live|test)_\w{16,200}",
    r"whsec_\w{20,200}",
    r"AIza[\w-]{35}",
    r"GOCSPX-[\w-]{20,60}",
    r"ya29\.[\w-]{20,300}",
    r"eyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,1000}",
    r"npm_\w{36}",
    r"pypi-[\w-]{50,300}",
    r"tskey-[\w-]{16,200}",
    r"hv[sbr]\.[\w-]{24,300}",
    r"do[opr]_v1_[a-f0-9]{64}",
    r"dckr_pat_[\w-]{20,100}",
    r"AGE-SECRET-KEY-1[A-Z0-9]{50,70}",
    r"SG\.[\w-]{20,30}\.[\w-]{40,50}",
    r"gl(?:sa|c)_[\w=+/]{20,300}",
    r"\$(?:2[aby]|apr1|[156y]|argon2id?)\$[./\w$=,+]{20,200}",
    r"SCRAM-SHA-256\$\d{1,9}:[\w+/=]{8,200}\$[\w+/=]{20,200}:[\w+/=]{20,200}",
)


@dataclass(frozen=True)
class Rule:
    """One way a secret gives itself away; its named groups are what is replaced."""

    hints: tuple[str, ...]
    """The pattern is tried only where the lower-cased text holds one of these."""
    pattern: re.Pattern[str]


@cache
def rules() -> tuple[Rule, ...]:
    """Every rule, in the order they are applied; compiled when first needed."""
    return (*_blocks_and_addresses(), *_headers(), *_commands(), *_shapes(), *_named())


def hinted(lowered: str) -> list[tuple[list[str], re.Pattern[str]]]:
    """The patterns that have a hint in a lower-cased text, each with those hints; cheap also for a long one."""
    present = {hint for sign, hints in _by_sign() if sign in lowered for hint in hints if hint in lowered}
    found = [([hint for hint in rule.hints if hint in present], rule.pattern) for rule in rules()] if present else []
    return [(hints, pattern) for hints, pattern in found if hints]


@cache
def _by_sign() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every hint, by the rarest character in it: one look for that tells of all of them."""
    signs: dict[str, list[str]] = {}
    for hint in dict.fromkeys(hint for rule in rules() for hint in rule.hints):
        signs.setdefault(min(hint, key=COMMON.find), []).append(hint)
    return tuple((sign, tuple(hints)) for sign, hints in signs.items())


@lru_cache(maxsize=4096)
def names_secret(key: str) -> bool:
    """Whether what stands under this key is a secret by its name, such as `db_password` or `X-Api-Key`."""
    return re.search(f"(?:{KEYS}|cookie|authorization)$", key[-80:], re.IGNORECASE) is not None


def may_match(text: str) -> bool:
    """Whether any rule could match; tells short words and names, which most strings are, at next to no cost."""
    return len(text) >= 16 or (len(text) >= 8 and not text.isidentifier())


def is_reference(value: str) -> bool:
    """Whether a value that a pattern caught is a word, a mask, a path or a reference, and no secret."""
    return NO_SECRET.fullmatch(value) is not None


def _rule(hints: str, pattern: str, flags: re.RegexFlag = re.IGNORECASE) -> Rule:
    return Rule(tuple(hints.split()), re.compile(pattern, flags))


def _blocks_and_addresses() -> tuple[Rule, ...]:
    name, body = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", r"(?:(?!-----)[\s\S]){0,20000}"
    return (
        _rule("private", rf"(?P<block>-----BEGIN {name}{body}(?:-----END {name})?)"),
        _rule("://", r"://[^\s/?#@:\"'<>‹]{0,256}:(?P<userinfo>[^\s/?#\"'<>]{1,512})@"),
        _rule("hooks.slack.com", r"hooks\.slack\.com/services/(?P<slack>[\w/]{20,100})"),
        _rule("api/webhooks/", r"api/webhooks/\d{5,25}/(?P<discord>[\w-]{20,100})"),
    )


def _headers() -> tuple[Rule, ...]:
    assigned = r"\\?[\"']?\s{0,5}[:=]\s{0,5}\\?[\"']?"
    schemes = r"(?:(?:basic|bearer|token|digest|apikey|bot|negotiate)\s{1,5})?"
    mixed = r"(?=[\w+/]{0,400}?(?:[0-9+/]|[a-z][A-Z]))"
    return (
        _rule("pveapitoken", rf"PVEAPIToken[=\s][^\s=:!]{{1,100}}![\w.-]{{1,64}}[=:](?P<proxmox>{_UUID})"),
        _rule("authorization", rf"authorization{assigned}{schemes}(?P<header>[^\s\"'\\,;]{{4,2000}})"),
        _rule("bearer", r"bearer\s{1,5}(?=[\w.~+/=-]{0,200}[\d._~+/])(?P<bearer>[\w.~+/-]{8,2000}={0,2})"),
        _rule("basic", rf"[Bb]asic\s{{1,5}}{mixed}(?P<basic>[A-Za-z0-9+/]{{8,600}}={{0,2}})", re.NOFLAG),
        _rule("cookie", rf"cookie{assigned}(?P<cookie>[\w.-]{{1,100}}=[^\r\n\"']{{3,4000}})"),
    )


def _commands() -> tuple[Rule, ...]:
    value = r"[^\s\"']{3,200}"
    port = r"[\d.:]+(?:/\w+)?(?:\s|$)"
    mixed = r"(?=\S{0,100}[A-Z\d])(?=\S{0,100}[A-Za-z])"
    return (
        _rule("mysql mariadb", rf"(?:mysql\w{{0,20}}|mariadb[\w-]{{0,20}})\b[^\n]{{0,300}}?\s-p(?P<client>{value})"),
        _rule("sshpass", rf"sshpass\s{{1,5}}-p\s{{0,5}}[\"']?(?P<sshpass>{value})"),
        _rule("curl", rf"curl\b[^\n]{{0,300}}?\s(?:-u|--user)[=\s]{{0,5}}[\"']?[^\s:\"']{{1,100}}:(?P<curl>{value})"),
        _rule("redis", rf"redis-cli\b[^\n]{{0,300}}?\s-a\s{{0,5}}[\"']?(?P<redis>{value})"),
        _rule("-p", rf"(?<!\S)-p(?!{port}|rint0){mixed}(?P<option>[^\s/.=:-]\S{{4,200}})", re.NOFLAG),
        _rule("--", rf"--(?!(?:no|ask)-)(?:\w{{1,30}}-){{0,4}}(?:{KEYS}|pass)[=\s]\s{{0,5}}(?!-){_VALUE}"),
        _rule("requirepass masterauth", rf"(?:requirepass|masterauth)[\"']?\s{{1,5}}[\"']?(?P<config>{value})"),
        _rule("password", r"password\s{1,5}'(?P<role>[^'\n]{3,400})'"),
        _rule("identified", r"identified\s(?:with\s\w{1,40}\s)?by\s{1,5}'(?P<user>[^'\n]{3,400})'"),
        _rule("login", rf"login\s{{1,5}}\S{{1,100}}\s{{1,5}}password\s{{1,5}}(?P<netrc>{value})"),
    )


def _shapes() -> tuple[Rule, ...]:
    hints = (
        "akia asia abia acca ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- glrt- gldt- glsoat- xox xapp- sk-"
        " k_live_ k_test_ whsec_ aiza gocspx- ya29. eyj npm_ pypi- tskey- hvs. hvb. hvr. doo_v1_ dop_v1_ dor_v1_"
        " dckr_pat_ age-secret-key sg. glsa_ glc_ $2 $apr1$ $1$ $5$ $6$ $y$ $argon2"
    )
    return (
        _rule(hints, rf"(?<![A-Za-z0-9])(?P<shape>{'|'.join(_SHAPES)})", re.NOFLAG),
        # Apart from the others, for its hints stand in most texts, and alone it is found missing at once.
        _rule("sa sc sn so su sx", r"(?<![A-Za-z0-9])(?P<seed>S[ACNOUX][A-Z2-7]{56})(?![A-Z0-9])", re.NOFLAG),
        _rule(":", r"(?<!\d)\d{8,10}:(?P<telegram>[\w-]{35})(?![\w-])"),
    )


def _named() -> tuple[Rule, ...]:
    after = r"\\?[\"']?\]?\s{0,5}"
    return (
        _rule("pass pwd pw psk secret token key sid", rf"{KEYS}{after}(?:=>?|:=)\s{{0,5}}(?<!==){_VALUE}"),
        _rule("pass pwd pw psk secret token key sid", rf"{KEYS}{after}:(?!//)\s{{0,5}}(?-i:{_PROSE}){_VALUE}"),
    )
