-- +goose Up

alter table tenant add column captures_from integer;
