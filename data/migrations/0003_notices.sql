-- What is not told, what is to be told over which channel, who has to send a sign of life, and what waits for an answer.

create table mute (
  id integer primary key,
  matcher text not null,
  starts_at real not null,
  ends_at real,
  until_healthy integer not null,
  actor text not null,
  why text not null,
  ended_at real
) strict;

create index mute_running on mute (matcher) where ended_at is null;

-- `event` is no reference: events are pruned by age, and a notice about one may be older.
create table notice (
  id integer primary key,
  channel text not null,
  event integer not null,
  incident integer references incident,
  service text not null,
  kind text not null,
  severity text not null,
  text text not null,
  state text not null,
  attempts integer not null default 0,
  created_at real not null,
  not_before real not null,
  finished_at real,
  unique (channel, event, kind)
) strict;

create index notice_waiting on notice (channel, attempts, id) where finished_at is null;
create index notice_held on notice (id) where state = 'held';
create index notice_incident on notice (incident, channel);

create table ticket (
  incident integer primary key references incident,
  number integer not null
) strict;

create table heartbeat (
  name text primary key,
  last_at real not null,
  pings integer not null
) strict, without rowid;

create table unanswered (
  incident integer primary key references incident,
  since real not null,
  step integer not null
) strict;
