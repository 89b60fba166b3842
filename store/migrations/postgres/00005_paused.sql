-- +goose Up

alter table connection add column paused boolean not null default false;
