-- +goose Up

-- Table by table the same as for PostgreSQL, where the comments are. Times are INTEGER
-- microseconds since 1970 in UTC; booleans 0 and 1.

create table tenant (
    name    text    not null primary key,
    created integer not null
) without rowid;

create table connection (
    id                 integer not null primary key autoincrement,
    tenant             text    not null references tenant,
    name               text    not null,
    kind               text    not null,
    patch_response     text    not null,
    unknown_members    text    not null,
    unique_group_names integer not null,
    created            integer not null
);
create unique index connection_name on connection (tenant, name);

create table credential (
    id         text    not null primary key,
    tenant     text    not null,
    connection integer not null references connection,
    hash       blob    not null,
    hint       text    not null,
    created    integer not null,
    expires    integer,
    revoked    integer,
    last_used  integer
) without rowid;
create unique index credential_hash on credential (hash);
create index credential_connection on credential (connection);

-- seq is the row's own number here, so that it costs no counter.
create table resource (
    id             text    not null,
    tenant         text    not null,
    type           text    not null,
    connection     integer not null,
    visible        integer not null,
    state          text    not null,
    role           text    not null,
    protected      integer not null,
    version        integer not null,
    created        integer not null,
    modified       integer not null,
    asserted       text    not null,
    effective      text,
    rule_version   integer not null,
    name           text    not null,
    effective_name text,
    display        text    not null,
    manager        text    not null,
    external_id    text    not null,
    key            text,
    eff_key        text,
    ext_key        text,
    seq            integer not null primary key,
    lane           integer
);
create unique index resource_pkey on resource (id);
create unique index resource_key on resource (key);
create unique index resource_eff_key on resource (eff_key);
create index resource_ext_key on resource (ext_key);
create index resource_lane on resource (lane, seq);

create table resource_value (
    resource   text    not null,
    attr       text    not null,
    ord        integer not null,
    key        text    not null,
    value      text    not null,
    type       text    not null,
    display    text    not null,
    is_primary integer not null,
    primary key (resource, attr, ord)
) without rowid;
create index resource_value_key on resource_value (key);

create table member (
    grp        text    not null,
    member     text    not null,
    display    text,
    valid_from integer not null,
    valid_to   integer,
    from_entry text    not null,
    to_entry   text
);
create unique index member_open on member (grp, member) where valid_to is null;
create index member_of on member (cast(case when valid_to is null then member end as text));

create table entry (
    id              text    not null primary key,
    tenant          text    not null,
    at              integer not null,
    connection      integer not null,
    connection_name text    not null,
    actor           text    not null,
    correlation     text    not null,
    request         text,
    duration        integer,
    action          text    not null,
    outcome         text    not null,
    resource        text    not null,
    resource_type   text    not null,
    resource_name   text    not null,
    resource_folded text,
    version         integer not null,
    matched_by      text    not null,
    diff            text,
    members         text,
    reason          text    not null,
    error           text
);
create index entry_resource on entry (tenant, resource, id);
create index entry_at on entry (tenant, at, id);
create index entry_correlation on entry (correlation);

create table position (
    tenant   text    not null,
    position integer not null,
    entry    text    not null,
    primary key (tenant, position)
) without rowid;

create table tally (
    lane  integer not null,
    block integer not null,
    delta integer not null
);

create table tally_block (
    lane  integer not null,
    level integer not null,
    block integer not null,
    n     integer not null,
    primary key (lane, level, block)
) without rowid;

create table tally_total (
    lane integer not null primary key,
    n    integer not null
);
