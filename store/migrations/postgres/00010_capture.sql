-- +goose Up

-- Requests with their answers, sealed. Correlations are UUIDv7 and so in the order of time: old ones are found by the key.
create table capture (
    correlation text        collate "C" primary key,
    tenant      text        collate "C" not null,
    connection  bigint      not null,
    at          timestamptz not null,
    sealed      bytea       not null
);

-- Until when every request of a connection is captured.
alter table connection add column debug_until timestamptz;
