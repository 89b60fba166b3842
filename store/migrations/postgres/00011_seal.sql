-- +goose Up

-- The audit chain. A seal covers some positions; first goes on where the seal before ends. That is what makes one chain of it.
create table seal (
    tenant text        collate "C" not null,
    first  bigint      not null,
    upto   bigint      not null,
    at     timestamptz not null,
    oldest timestamptz,                                  -- of its entries
    newest timestamptz,
    digest bytea       not null,
    leaves bytea       not null,                         -- 32 bytes a position
    salts  bytea       not null,                         -- 16 bytes a position
    primary key (tenant, first)
);

-- By what an erasure finds the seal of an entry.
create index seal_span on seal (tenant, newest, oldest);

-- What erasures left of sealed entries.
create table trace (
    tenant   text   collate "C" not null,
    position bigint not null,
    parts    json   not null,
    rest     bytea  not null,                            -- SHA-256 of what is left of the row, and of parts
    primary key (tenant, position)
);

-- Whoever seals has read entries that nobody may erase meanwhile, or it counts for nothing.
create table chain (
    tenant   text   collate "C" primary key,
    erasures bigint not null
) with (fillfactor = 70);
