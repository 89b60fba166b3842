-- +goose Up

create table tenant (
    name    text        collate "C" primary key,
    created timestamptz not null
);

create table connection (
    id                 bigint      generated always as identity primary key,
    tenant             text        collate "C" not null references tenant,
    name               text        collate "C" not null,
    kind               text        not null,
    patch_response     text        not null,
    unknown_members    text        not null,
    unique_group_names boolean     not null,
    created            timestamptz not null
);
create unique index connection_name on connection (tenant, name);

create table credential (
    id         text        collate "C" primary key,
    tenant     text        collate "C" not null,
    connection bigint      not null references connection,
    hash       bytea       not null,
    hint       text        not null,
    created    timestamptz not null,
    expires    timestamptz,
    revoked    timestamptz,
    last_used  timestamptz
);
create unique index credential_hash on credential (hash);
create index credential_connection on credential (connection);

-- One row a user or group. No two indexes begin with the same column, and none holds a column
-- that an ordinary PATCH writes: that keeps plans the same before the first ANALYZE and updates HOT.
create table resource (
    id             text        collate "C" primary key,
    tenant         text        collate "C" not null,
    type           text        not null,
    connection     bigint      not null,               -- 0: no owner
    visible        boolean     not null,
    state          text        not null,
    role           text        not null,
    protected      boolean     not null,
    version        bigint      not null,
    created        timestamptz not null,
    modified       timestamptz not null,
    asserted       json        not null,               -- json, not jsonb: it keeps the bytes
    effective      json,                               -- null: as asserted
    rule_version   bigint      not null,
    name           text        collate "C" not null,   -- folded
    effective_name text        collate "C",            -- folded; null: as name, "" for groups
    display        text        collate "C" not null,
    manager        text        collate "C" not null,
    external_id    text        collate "C" not null,
    key            text        collate "C",            -- connection, type, name; null: invisible
    eff_key        text        collate "C",            -- tenant, effective name; null: removed, or a group
    ext_key        text        collate "C",            -- connection, type, externalId
    seq            bigint      generated always as identity,
    lane           bigint                              -- connection and type; null: invisible
) with (fillfactor = 85);
create unique index resource_key on resource (key);
create unique index resource_eff_key on resource (eff_key);
create index resource_ext_key on resource (ext_key);
create index resource_lane on resource (lane, seq);

-- The elements of multi-valued attributes that are searched at scale.
create table resource_value (
    resource   text    collate "C" not null,
    attr       text    collate "C" not null,
    ord        integer not null,
    key        text    collate "C" not null,           -- connection, attribute, value
    value      text    collate "C" not null,           -- folded, as are type and display
    type       text    collate "C" not null,
    display    text    collate "C" not null,
    is_primary boolean not null,
    primary key (resource, attr, ord)
);
create index resource_value_key on resource_value (key);

-- One row a membership and interval; a closed one is history.
create table member (
    grp        text        collate "C" not null,
    member     text        collate "C" not null,
    display    text        collate "C",
    valid_from timestamptz not null,
    valid_to   timestamptz,
    from_entry text        collate "C" not null,
    to_entry   text        collate "C"
);
create unique index member_open on member (grp, member) where valid_to is null;
-- An expression, so that no look-up by grp can take this index for the other, nor the other way round.
create index member_of on member ((case when valid_to is null then member end));

create table entry (
    id              text        collate "C" primary key,
    tenant          text        collate "C" not null,
    at              timestamptz not null,
    connection      bigint      not null,
    connection_name text        not null,
    actor           text        not null,
    correlation     text        collate "C" not null,
    request         json,
    duration        bigint,                            -- microseconds
    action          text        not null,
    outcome         text        not null,
    resource        text        collate "C" not null,
    resource_type   text        not null,
    resource_name   text        not null,
    resource_folded text        collate "C",           -- null: as resource_name
    version         bigint      not null,
    matched_by      text        not null,
    diff            json,
    members         json,
    reason          json        not null,
    error           json
);
create index entry_resource on entry (tenant, resource, id);
create index entry_at on entry (tenant, at, id);
create index entry_correlation on entry (correlation);

-- The gapless order that a follower gives to committed entries.
create table position (
    tenant   text   collate "C" not null,
    position bigint not null,
    entry    text   collate "C" not null,
    primary key (tenant, position)
);

-- How many resources a lane has: deltas by block of 1,024 seq, folded into blocks of 2^level seq and a total.
create table tally (
    lane  bigint not null,
    block bigint not null,
    delta bigint not null
) with (autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

create table tally_block (
    lane  bigint  not null,
    level integer not null,
    block bigint  not null,
    n     bigint  not null,
    primary key (lane, level, block)
) with (fillfactor = 70);

create table tally_total (
    lane bigint primary key,
    n    bigint not null
) with (fillfactor = 70);
