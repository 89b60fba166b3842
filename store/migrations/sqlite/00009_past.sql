-- +goose Up

-- Memberships that ended: whose they were, and when, so that the old ones are found.
create index member_was on member (member) where valid_to is not null;
create index member_ended on member (valid_to) where valid_to is not null;
