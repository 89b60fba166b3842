-- +goose Up

alter table matter add column asks integer not null default 0;
alter table matter add column asked_at integer;
alter table matter add column ask_failure text not null default '';
alter table matter add column counts text;
