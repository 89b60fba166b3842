-- +goose Up

alter table connection add column paused integer not null default 0;
