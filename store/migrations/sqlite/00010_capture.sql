-- +goose Up

create table capture (
    correlation text    not null primary key,
    tenant      text    not null,
    connection  integer not null,
    at          integer not null,
    sealed      blob    not null
) without rowid;

alter table connection add column debug_until integer;
