-- +goose Up

-- Requests that came before this are not captured any more, even where their captures come to be written later: somebody was erased.
alter table tenant add column captures_from timestamptz;
