-- +goose Up

alter table resource
    add column overrides    json,                        -- by path, what a person set; null: nothing
    add column member_count bigint not null default 0,   -- open memberships of a group
    add column removals     json,                        -- what a group lost lately; null: nothing
    add column left_at      timestamptz,                 -- null: active or held
    add column purge_at     timestamptz,                 -- null: never
    add column stable_key   text        collate "C";     -- connection, type, value of the attribute that the settings name; null: they name none
update resource r set member_count = m.n
from (select grp, count(*) as n from member where valid_to is null group by grp) as m where m.grp = r.id;
update resource set left_at = modified where state not in ('active', 'held');
create index resource_stable_key on resource (stable_key) where stable_key is not null;
create index resource_purge on resource (purge_at) where purge_at is not null;
-- All of a tenant by id. An expression, here as below, so that a look-up that also names the tenant cannot take it.
create index resource_account on resource ((tenant || '/' || id));

-- A value is looked up in the whole tenant: tenant, attribute, value.
update resource_value v set key = r.tenant || '/' || v.attr || ':' || v.value from resource r where r.id = v.resource;

-- A lane's number below zero, -1 - lane, counts how many more are there for the host application than the client sees.
insert into tally (lane, block, delta)
select -1 - lane, 0, sum(there - seen) from (
    select connection * 8 + case type when 'Group' then 1 else 0 end as lane,
        case when state in ('active', 'held') then 1 else 0 end as there, case when visible then 1 else 0 end as seen
    from resource where connection <> 0) as r
where there <> seen group by lane having sum(there - seen) <> 0;

alter table connection add column settings_version bigint not null default 0;  -- 0: the defaults
alter table entry add column settings_version bigint not null default 0;

create table settings (
    tenant     text        collate "C" not null,
    connection bigint      not null references connection,
    version    bigint      not null,
    at         timestamptz not null,
    actor      text        not null,
    comment    text        not null,
    document   json        not null,
    source     text        not null,                     -- as it was written
    primary key (connection, version)
);

-- What waits for a person. A closed one is history.
create table matter (
    id          text        collate "C" primary key,
    tenant      text        collate "C" not null,
    connection  bigint      not null,
    kind        text        not null,
    cause       text        not null,
    resource    text        collate "C" not null,
    type        text        not null,
    name        text        not null,
    key         text        collate "C" not null,
    open_key    text        collate "C",                 -- tenant, connection, key; null: closed
    reason      json        not null,
    then_policy text        not null,
    candidates  json,
    asserted    json,
    members     json,
    opened      timestamptz not null,
    entry       text        collate "C" not null,
    seen        timestamptz not null,
    times       bigint      not null,
    status      text        not null,
    until       timestamptz,
    closed_at   timestamptz,
    closed_by   text        not null,
    proposed    text        not null,
    version     bigint      not null
);
create unique index matter_open_key on matter (open_key);
create index matter_resource on matter (resource);
create index matter_key on matter (key);
create index matter_listed on matter ((tenant || '/' || id));
create index matter_waiting on matter ((case when status = 'open' then tenant || '/' || id end));

-- What a connection has spent of a tolerance; claims are settled by the version.
create table budget (
    connection bigint  not null,
    kind       text    collate "C" not null,
    tenant     text    collate "C" not null,
    version    bigint  not null,
    spent      json    not null,
    allowances json    not null,
    primary key (connection, kind)
) with (fillfactor = 70);

create table job (
    id          text        collate "C" primary key,
    tenant      text        collate "C" not null,
    kind        text        not null,
    connection  bigint      not null,
    actor       text        not null,
    params      json,
    cursor      text        not null,
    done        bigint      not null,
    total       bigint      not null,
    state       text        not null,
    error       text        not null,
    result      json,
    created     timestamptz not null,
    changed     timestamptz not null,
    lease_until timestamptz,
    fence       bigint      not null
);
create index job_listed on job ((tenant || '/' || id));
create index job_due on job ((case when state in ('queued', 'running') then id end));

create table api_key (
    id        text        collate "C" primary key,
    tenant    text        collate "C" not null references tenant,
    holder    text        not null,
    role      text        not null,
    hash      bytea       not null,
    hint      text        not null,
    created   timestamptz not null,
    expires   timestamptz,
    revoked   timestamptz,
    last_used timestamptz
);
create unique index api_key_hash on api_key (hash);
create index api_key_tenant on api_key (tenant);
