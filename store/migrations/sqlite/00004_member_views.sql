-- +goose Up

alter table member add column asserted integer not null default 1;
alter table member add column effective integer not null default 1;
