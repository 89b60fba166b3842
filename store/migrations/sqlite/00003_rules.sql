-- +goose Up

alter table resource add column overrides text;
alter table resource add column member_count integer not null default 0;
alter table resource add column removals text;
alter table resource add column left_at integer;
alter table resource add column purge_at integer;
alter table resource add column stable_key text;
update resource set member_count = (select count(*) from member m where m.grp = resource.id and m.valid_to is null) where type = 'Group';
update resource set left_at = modified where state not in ('active', 'held');
create index resource_stable_key on resource (stable_key) where stable_key is not null;
create index resource_purge on resource (purge_at) where purge_at is not null;
create index resource_account on resource (tenant || '/' || id);

update resource_value set key = (select r.tenant from resource r where r.id = resource_value.resource) || '/' || attr || ':' || value;

insert into tally (lane, block, delta)
select -1 - lane, 0, sum(there - seen) from (
    select connection * 8 + case type when 'Group' then 1 else 0 end as lane,
        case when state in ('active', 'held') then 1 else 0 end as there, case when visible then 1 else 0 end as seen
    from resource where connection <> 0) as r
where there <> seen group by lane having sum(there - seen) <> 0;

alter table connection add column settings_version integer not null default 0;
alter table entry add column settings_version integer not null default 0;

create table settings (
    tenant     text    not null,
    connection integer not null references connection,
    version    integer not null,
    at         integer not null,
    actor      text    not null,
    comment    text    not null,
    document   text    not null,
    source     text    not null,
    primary key (connection, version)
) without rowid;

create table matter (
    id          text    not null primary key,
    tenant      text    not null,
    connection  integer not null,
    kind        text    not null,
    cause       text    not null,
    resource    text    not null,
    type        text    not null,
    name        text    not null,
    key         text    not null,
    open_key    text,
    reason      text    not null,
    then_policy text    not null,
    candidates  text,
    asserted    text,
    members     text,
    opened      integer not null,
    entry       text    not null,
    seen        integer not null,
    times       integer not null,
    status      text    not null,
    until       integer,
    closed_at   integer,
    closed_by   text    not null,
    proposed    text    not null,
    version     integer not null
);
create unique index matter_open_key on matter (open_key);
create index matter_resource on matter (resource);
create index matter_key on matter (key);
create index matter_listed on matter (tenant || '/' || id);
create index matter_waiting on matter (case when status = 'open' then tenant || '/' || id end);

create table budget (
    connection integer not null,
    kind       text    not null,
    tenant     text    not null,
    version    integer not null,
    spent      text    not null,
    allowances text    not null,
    primary key (connection, kind)
) without rowid;

create table job (
    id          text    not null primary key,
    tenant      text    not null,
    kind        text    not null,
    connection  integer not null,
    actor       text    not null,
    params      text,
    cursor      text    not null,
    done        integer not null,
    total       integer not null,
    state       text    not null,
    error       text    not null,
    result      text,
    created     integer not null,
    changed     integer not null,
    lease_until integer,
    fence       integer not null
);
create index job_listed on job (tenant || '/' || id);
create index job_due on job (case when state in ('queued', 'running') then id end);

create table api_key (
    id        text    not null primary key,
    tenant    text    not null references tenant,
    holder    text    not null,
    role      text    not null,
    hash      blob    not null,
    hint      text    not null,
    created   integer not null,
    expires   integer,
    revoked   integer,
    last_used integer
) without rowid;
create unique index api_key_hash on api_key (hash);
create index api_key_tenant on api_key (tenant);
