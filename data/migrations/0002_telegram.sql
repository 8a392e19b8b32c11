-- What Telegram was told and is to be told, one row a message: it is edited while its version is newer than what was sent.
-- `incident` and `proposal` are no references: a message may be older than what is kept of them.

create table outbox (
  id integer primary key,
  subject text not null unique,
  incident integer,
  proposal integer,
  rank integer not null,
  body text not null,
  version integer not null default 1,
  sent integer not null default 0,
  message integer,
  state text not null default 'waiting',
  attempts integer not null default 0,
  unsure integer not null default 0,
  parent integer,
  notes text not null default '{}',
  put_at real not null,
  next_at real not null,
  sent_at real
) strict;

create index outbox_waiting on outbox (rank, id) where state = 'waiting' and version > sent;
create index outbox_incident on outbox (incident);
create index outbox_parent on outbox (parent) where parent is not null;
create index outbox_sent on outbox (sent_at) where sent_at is not null;

-- A button carries a random token; only its SHA-256 is kept. `persons` are the numbers of those who may press it.
create table button (
  hash blob primary key,
  action text not null,
  permission text not null,
  incident integer,
  proposal integer,
  digest text not null,
  people integer not null,
  persons text not null,
  chat integer not null,
  expires_at real not null,
  used_at real
) strict, without rowid;

create index button_expires on button (expires_at);

-- Who asked for a proposal and who approved it, where one person is not enough.
create table vote (
  proposal integer not null,
  person integer not null,
  name text not null,
  part text not null,
  at real not null,
  primary key (proposal, person, part)
) strict, without rowid;

create table telegram_update (
  id integer primary key,
  at real not null
) strict;

create table refusal (
  reason text primary key,
  times integer not null,
  told integer not null,
  told_at real not null
) strict, without rowid;
