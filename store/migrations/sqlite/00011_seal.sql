-- +goose Up

create table seal (
    tenant text    not null,
    first  integer not null,
    upto   integer not null,
    at     integer not null,
    oldest integer,
    newest integer,
    digest blob    not null,
    leaves blob    not null,
    salts  blob    not null,
    primary key (tenant, first)
);

create index seal_span on seal (tenant, newest, oldest);

create table trace (
    tenant   text    not null,
    position integer not null,
    parts    text    not null,
    rest     blob    not null,
    primary key (tenant, position)
) without rowid;

create table chain (
    tenant   text    not null primary key,
    erasures integer not null
) without rowid;
