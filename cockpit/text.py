"""Text from strangers: a type of its own, cleaned of control sequences, never markup; redaction of secrets.

Two steps stand between a stranger's text and the operator's terminal. `clean` makes every
character visible that a terminal or a reader would act on instead of showing; `Redactor`
replaces secrets by placeholders, known values first, then what looks like one.
In sentences of our own, `counted` says a count with its noun.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING

from cockpit.model import JSON

if TYPE_CHECKING:
    from rich.text import Text
    from textual.content import Content

SHORTEST_SECRET = 4
"""Shorter values stand in every other word; they are no secrets, and are left alone."""
DEEPEST = 60
"""Levels of nesting that `Redactor.scrub` follows; what is deeper is replaced by a sign."""
MOST_REMEMBERED = 10_000
"""Secrets that keep a placeholder of their own; a stranger must not be able to fill our memory."""
MOST_PLAIN, LONGEST_PLAIN = 4096, 200
"""Texts that are shown as they are and remembered, for labels come again and again; and how long one may be."""
MANY = 16
"""Texts from which on it pays to look at them together."""
PLACEHOLDER = r"‹secret:[^›\s]{1,120}›(?=$|[,;&])"

BLANK = frozenset(
    [0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]
)
"""Letters and marks by category that nevertheless show as nothing: fillers and variation selectors."""
LAST_SELECTORS = range(0xE0000, 0xE1000)


class Untrusted(str):
    """Text that came from outside: cleaned, and shown only as literal text.

    Rich and Textual ask an object how it wants to be drawn before they parse a string for
    markup; this one answers, so it stays literal even where a widget is handed it raw.
    """

    __slots__ = ()

    def visualize(self) -> Content:
        """How Textual draws it: as it stands, no markup."""
        from textual.content import Content

        return Content(str(self))

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text(str(self))


class _Visible(dict[int, "int | str"]):
    """What each character is shown as, worked out when it is first met."""

    def __init__(self, kept: str) -> None:
        super().__init__({ord(character): character for character in kept})

    def __missing__(self, code: int) -> int | str:
        shown = code if _harmless(code) else _sign(code)
        if code < 0x10000:  # the rest is rare, and a stranger must not be able to fill our memory with it
            self[code] = shown
        return shown


def _harmless(code: int) -> bool:
    character = chr(code)
    if code in BLANK or code in LAST_SELECTORS:
        return False
    return character.isprintable() or (character.isspace() and code >= 0xA0 and code not in (0x2028, 0x2029))


def _sign(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


_ONE_LINE = _Visible("")
_LINES = _Visible("\n\t")


def clean(text: str, *, lines: bool = False) -> Untrusted:
    """The text with every control character made visible, such as ␛ for an escape and `\\u202e` for a bidi override.

    Made visible are C0 and C1 controls, DEL, format characters (bidi, zero-width, tags), variation selectors,
    fillers, lone surrogates and what Unicode has not assigned.

    Args:
        text: anything, from anyone.
        lines: keep line ends and tabs; otherwise they are made visible as well, so that a value fills one line.
    """
    if lines and not text.isprintable():
        text = text.replace("\r\n", "\n")
    if text.isascii() and (text.replace("\n", "").replace("\t", "") if lines else text).isprintable():
        return Untrusted(text)
    return Untrusted(text.translate(_LINES if lines else _ONE_LINE))


def shorten(text: str, limit: int) -> str:
    """The text in at most `limit` characters; where some are cut off, a sign says so and, if it fits, how many."""
    if len(text) <= limit:
        return text
    sign = f"… [{len(text) - limit} more]"
    kept = limit - len(sign)
    return text[:kept] + sign if kept > len(sign) else text[: max(limit - 1, 0)] + "…"[:limit]


def figure(value: float) -> str:
    """A number as a sentence shows it: at most two decimals, thousands apart."""
    return f"{value:z,.2f}".rstrip("0").rstrip(".")


def counted(count: float, one: str, several: str = "") -> str:
    """A count with its noun: `1 session`, `2 sessions`, `2 indexes`; a verb may follow it: `1 session waits`.

    Args:
        count: how many.
        one: what follows the count 1.
        several: what follows any other; without it `one` with an s.
    """
    said = figure(count)
    return f"{said} {one if said == '1' else several or f'{one}s'}"


class Redactor:
    """Replaces secrets by placeholders: the same secret by the same placeholder, for as long as the process lives."""

    def __init__(self) -> None:
        self._placeholders: dict[str, str] = {}
        self._numbers = count(1)
        self._forms: dict[str, str] = {}
        self._known: re.Pattern[str] | None = None
        self._plain: dict[str, Untrusted] = {}
        self._keys: dict[str, tuple[str, bool]] = {}

    def add(self, secret: str, name: str = "") -> None:
        """Register a value that must never leave, in plain, URL-encoded, JSON-escaped and base64 form.

        Args:
            secret: the value; one shorter than 4 characters is left alone.
            name: what the placeholder calls it, such as `postgres/main.password`; without one it bears a number.
        """
        if len(secret) < SHORTEST_SECRET or secret in self._forms:
            return
        label = re.sub(r"[^\w./]+", "-", name)[:80]
        if label and f"‹secret:{label}›" in self._placeholders.values():
            label = ""
        placeholder = self._placeholder(secret, label)
        for form in _forms(secret):
            self._forms.setdefault(form, placeholder)
        self._known, self._plain, self._keys = None, {}, {}

    def redact(self, text: str) -> str:
        """The text with known secrets, and what has the shape of one, replaced by placeholders."""
        return text if text in self._plain else self._redacted(text)

    def _redacted(self, text: str) -> str:
        from cockpit.secret_patterns import may_match, rules

        if self._forms:
            known = self._known or self._compiled()
            text = known.sub(lambda match: self._forms[match[0]], text)
        if not may_match(text):
            return text
        lowered = text.lower()
        for rule in rules():
            for hint in rule.hints:
                if hint in lowered:
                    text = rule.pattern.sub(self._replace, text)
                    break
        return text

    def scrub(self, value: JSON) -> JSON:
        """The value with every string in it, keys included, redacted and cleaned; line ends and tabs are kept.

        A string under a key that names a secret (`password`, `api_token`, …) is replaced whatever it looks like.
        """
        return self._shown(value) if isinstance(value, str) else self._scrub(value, secret=False, depth=0)

    def _compiled(self) -> re.Pattern[str]:
        longest_first = sorted(self._forms, key=len, reverse=True)
        self._known = re.compile("|".join(_bounded(form) for form in longest_first))
        return self._known

    def _scrub(self, value: JSON, *, secret: bool, depth: int) -> JSON:
        if isinstance(value, str):
            return self._whole(value) if secret and value else self._shown(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if depth >= DEEPEST:
            return "…"
        if isinstance(value, Mapping):
            return self._mapping(value, secret=secret, depth=depth)
        if len(value) >= MANY:
            self._learn([item for item in value if isinstance(item, str)])
        return [self._scrub(item, secret=secret, depth=depth + 1) for item in value]

    def _mapping(self, value: Mapping[str, JSON], *, secret: bool, depth: int) -> JSON:
        scrubbed: dict[str, JSON] = {}
        keys, plain = self._keys, self._plain
        for key, item in value.items():
            shown, hides = keys.get(key) or self._key(str(key))
            if isinstance(item, str) and not (secret or hides):  # most are, and most were shown before
                scrubbed[shown] = plain.get(item) or self._shown(item)
            else:
                scrubbed[shown] = self._scrub(item, secret=secret or hides, depth=depth + 1)
        return scrubbed

    def _shown(self, text: str) -> Untrusted:
        plain = self._plain
        if (known := plain.get(text)) is not None:
            return known
        shown = clean(self._redacted(text), lines=True)
        if shown == text and len(text) <= LONGEST_PLAIN:
            if len(plain) >= MOST_PLAIN:
                plain.clear()
            plain[shown] = shown
        return shown

    def _learn(self, texts: list[str]) -> None:
        """Remember which of many texts are shown as they are: what stands in none of them is looked for once."""
        from cockpit.secret_patterns import hinted

        plain = self._plain
        if len(plain) > MOST_PLAIN // 2:
            plain.clear()
        new = [text for text in texts if text not in plain and len(text) <= LONGEST_PLAIN][: MOST_PLAIN // 2]
        together = "\n".join(new)
        if self._forms and (self._known or self._compiled()).search(together):
            return
        likely = hinted(together.lower())
        for text in new:
            shown = clean(text, lines=True)
            if shown == text and not _matches(text, likely):
                plain[shown] = shown

    def _key(self, key: str) -> tuple[str, bool]:
        """A key as it is shown, and whether what stands under it is a secret by its name."""
        from cockpit.secret_patterns import names_secret

        keys = self._keys  # `add` puts another in its place, which must not hold what was shown before
        shown = clean(self.redact(key)), names_secret(key)
        if len(key) <= LONGEST_PLAIN:
            if len(keys) >= MOST_PLAIN:
                keys.clear()
            keys[key] = shown
        return shown

    def _whole(self, value: str) -> str:
        return value if re.fullmatch(PLACEHOLDER, value) else self._placeholder(value)

    def _replace(self, match: re.Match[str]) -> str:
        from cockpit.secret_patterns import is_reference

        name = match.lastgroup
        if name is None or re.match(PLACEHOLDER, match[name]) or is_reference(match[name]):
            return match[0]
        start, end = match.start(name) - match.start(), match.end(name) - match.start()
        return match[0][:start] + self._placeholder(match[name]) + match[0][end:]

    def _placeholder(self, secret: str, label: str = "") -> str:
        if secret not in self._placeholders:
            if len(self._placeholders) >= MOST_REMEMBERED:
                return "‹secret:more›"
            self._placeholders.setdefault(secret, f"‹secret:{label or next(self._numbers)}›")
        return self._placeholders[secret]


def _matches(text: str, rules: Sequence[tuple[Sequence[str], re.Pattern[str]]]) -> bool:
    """Whether any of these patterns is found in a text, as far as it has one of the hints that stand with it."""
    lowered = text.lower()
    for hints, pattern in rules:
        for hint in hints:
            if hint in lowered and pattern.search(text):
                return True
    return False


def _bounded(form: str) -> str:
    """A short plain word is replaced only where it stands alone: the secret `test` is not in `latest`."""
    escaped = re.escape(form)
    return rf"(?<![A-Za-z0-9]){escaped}(?![A-Za-z0-9])" if len(form) < 8 and form.isalnum() else escaped


def _forms(secret: str) -> Iterator[str]:
    import json
    import shlex
    from urllib.parse import quote, quote_plus

    data = secret.encode("utf-8", "surrogatepass")
    yield secret
    for quoted in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield quoted
        yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield shlex.quote(secret).strip("'")
    for encoded in _base64_forms(data):
        yield encoded
        yield encoded.replace("+", "-").replace("/", "_")
        yield quote(encoded, safe="")


def _base64_forms(data: bytes) -> Iterator[str]:
    from base64 import b64encode

    whole = b64encode(data).decode()
    yield whole
    yield whole.rstrip("=")
    for offset in range(3):  # how far into a group of three bytes the secret starts: `user:` before it shifts it
        encoded = b64encode(bytes(offset) + data).decode().rstrip("=")
        certain = encoded[(0, 2, 3)[offset] : (len(data) + offset) * 8 // 6]
        if len(certain) >= 8:
            yield certain
