-- Where the log begins since its oldest part was pruned: the last event that was removed, and its link,
-- from which the chain goes on. The event that removed them vouches for the row.
create table checkpoint (
  event integer primary key,
  mac text not null,
  at real not null,
  removed text not null
) strict;

create trigger checkpoint_is_fixed before update on checkpoint
begin select raise(abort, 'a checkpoint is never edited'); end;
create trigger checkpoint_is_kept before delete on checkpoint
begin select raise(abort, 'a checkpoint is kept'); end;
