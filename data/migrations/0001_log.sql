-- The log: what is watched, what went wrong, what was looked at, proposed, decided and changed.
-- Times are seconds since the epoch (UTC); lists and mappings are JSON.

create table service (
  id integer primary key,
  name text not null unique,
  position integer not null,
  configured integer not null,
  depends_on text not null,
  critical integer not null,
  interval real not null,
  timeout real not null,
  expected_down integer not null,
  note text not null,
  tags text not null,
  level text,
  summary text not null default '',
  samples text not null default '{}',
  latency real,
  checked_at real,
  since real,
  layout integer references layout
) strict;

create table incident (
  id integer primary key,
  service text not null,
  title text not null,
  severity text not null,
  status text not null,
  opened_at real not null,
  updated_at real not null,
  resolved_at real,
  cause text not null default '',
  runbook text not null default '',
  alerts integer not null default 0,
  flapping integer not null default 0
) strict;

create unique index incident_open on incident (service) where status <> 'resolved';
create index incident_service on incident (service, resolved_at);

create table alert (
  id integer primary key,
  incident integer not null references incident,
  fingerprint text not null,
  service text not null,
  name text not null,
  severity text not null,
  summary text not null,
  starts_at real not null,
  source text not null,
  labels text not null,
  times integer not null default 1,
  resolved_at real
) strict;

create unique index alert_firing on alert (fingerprint) where resolved_at is null;
create index alert_incident on alert (incident, name);

create table run (
  id integer primary key,
  incident integer references incident,
  tool text not null,
  service text not null,
  arguments text not null,
  status text not null,
  summary text not null,
  data text not null,
  started_at real not null,
  seconds real not null
) strict;

create index run_incident on run (incident);

create table proposal (
  id integer primary key,
  incident integer references incident,
  tool text not null,
  service text not null,
  arguments text not null,
  plan text not null,
  digest text not null,
  approval text not null,
  state text not null,
  created_at real not null,
  expires_at real not null,
  reason text not null,
  undoes integer references proposal,
  policy text not null,
  needs_name integer not null,
  outcome text not null default ''
) strict;

create index proposal_state on proposal (state, expires_at);
create index proposal_incident on proposal (incident);
create unique index proposal_pending on proposal (incident, service) where state = 'pending' and incident is not null;

create table decision (
  proposal integer primary key references proposal,
  verdict text not null,
  actor text not null,
  channel text not null,
  at real not null,
  digest text not null,
  reason text not null
) strict;

create table change (
  id integer primary key,
  proposal integer not null references proposal,
  position integer not null,
  service text not null,
  body text not null,
  state text not null,
  claimed_at real not null,
  finished_at real,
  outcome text not null default '',
  unique (proposal, position)
) strict;

create index change_unsettled on change (state) where state in ('claimed', 'applying', 'verifying');
create index change_claimed on change (claimed_at);
create index change_service on change (service, finished_at);

-- `seals` holds a SHA-256 of every row that an event changed; `mac` chains each event to the one before.
create table event (
  id integer primary key,
  at real not null,
  incident integer references incident,
  actor text not null,
  kind text not null,
  text text not null,
  data text not null,
  service text not null,
  seals text not null,
  mac blob not null
) strict;

create index event_incident on event (incident, id);
create index event_freeze on event (id) where kind = 'freeze';

create table state (
  key text primary key,
  value text not null
) strict, without rowid;

-- One row a probe, not one a sample: a probe then touches one page of the file instead of a dozen.
create table layout (
  id integer primary key,
  names text not null unique
) strict;

create table reading (
  service integer not null references service,
  at real not null,
  layout integer not null references layout,
  sample_values blob not null,
  primary key (service, at)
) strict, without rowid;

create table series (
  id integer primary key,
  service integer not null references service,
  name text not null,
  unique (service, name)
) strict;

-- 24 cells of `span` seconds each, from `start` on: count, average, minimum and maximum.
create table chunk (
  series integer not null references series,
  span integer not null,
  start integer not null,
  cells blob not null,
  primary key (series, span, start)
) strict, without rowid;

create trigger event_is_kept before delete on event begin select raise(abort, 'events are append-only'); end;
create trigger event_is_fixed before update on event begin select raise(abort, 'events are append-only'); end;
create trigger decision_is_kept before delete on decision begin select raise(abort, 'decisions are kept'); end;
create trigger decision_is_fixed before update on decision begin select raise(abort, 'decisions are final'); end;
create trigger run_is_kept before delete on run begin select raise(abort, 'evidence is kept'); end;
create trigger run_is_fixed before update on run begin select raise(abort, 'evidence is never edited'); end;
create trigger proposal_is_kept before delete on proposal begin select raise(abort, 'proposals are kept'); end;
create trigger change_is_kept before delete on change begin select raise(abort, 'changes are kept'); end;
create trigger incident_is_kept before delete on incident begin select raise(abort, 'incidents are kept'); end;
create trigger alert_is_kept before delete on alert begin select raise(abort, 'alerts are kept'); end;
create trigger proposal_is_fixed
before update of incident, tool, service, arguments, plan, digest, approval, created_at, expires_at, undoes, needs_name
on proposal begin select raise(abort, 'what was proposed is never edited'); end;
create trigger change_is_fixed
before update of proposal, position, service, body, claimed_at
on change begin select raise(abort, 'what was claimed is never edited'); end;
