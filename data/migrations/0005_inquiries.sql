-- What is asked of models, what each call of one was sent, answered and cost, and a way to find incidents by their words.

create table inquiry (
  id integer primary key,
  incident integer references incident,
  service text not null,
  question text not null,
  actor text not null,
  state text not null,
  created_at real not null,
  model text not null default '',
  tokens integer not null default 0,
  dollars real not null default 0,
  finished_at real,
  outcome text not null default '',
  answer text not null default '{}'
) strict;

create index inquiry_open on inquiry (state) where finished_at is null;
create index inquiry_incident on inquiry (incident);

-- What is said while it is said: a draft of what `model_call` keeps, so no event vouches for it.
create table inquiry_progress (
  inquiry integer primary key references inquiry,
  text text not null
) strict;

create table model_call (
  id integer primary key,
  inquiry integer not null references inquiry,
  model text not null,
  tier text not null,
  at real not null,
  seconds real not null,
  input_tokens integer not null,
  output_tokens integer not null,
  dollars real not null,
  outcome text not null,
  error text not null,
  sent text not null,
  reply text not null
) strict;

create index model_call_inquiry on model_call (inquiry);
create index model_call_at on model_call (at);

-- Answers by the digest of all that was known and asked, so that the same is not paid for twice.
create table kept_answer (
  digest text primary key,
  inquiry integer not null references inquiry,
  at real not null
) strict, without rowid;

-- Incidents that are over, by their words: written when one ends, so that a storm of new ones pays nothing for it.
-- No trigger writes it: SQLite lets none touch a virtual table where the schema is not trusted, and ours is not.
create virtual table incident_words using fts5 (service, title, cause, tokenize = 'porter unicode61');
insert into incident_words (rowid, service, title, cause)
select id, service, title, cause from incident where status = 'resolved';

create trigger inquiry_is_kept before delete on inquiry begin select raise(abort, 'inquiries are kept'); end;
create trigger inquiry_is_fixed
before update of incident, service, question, actor, created_at
on inquiry begin select raise(abort, 'what was asked is never edited'); end;
create trigger model_call_is_kept before delete on model_call begin select raise(abort, 'what was sent is kept'); end;
create trigger model_call_is_fixed before update on model_call begin select raise(abort, 'what was sent is never edited'); end;
