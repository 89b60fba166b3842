-- +goose Up

-- A membership lasts while the client lists it or the host application sees it.
alter table member
    add column asserted  boolean not null default true,
    add column effective boolean not null default true;
