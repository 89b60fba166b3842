package store

import (
	"context"
	"errors"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// What follows is being built: each method moves to the file of its subject.

func (s *Store) Tenants(context.Context) ([]string, error) { return nil, errors.ErrUnsupported }
func (s *Store) ClaimJob(context.Context, time.Time, time.Time) (string, provisioning.Job, error) {
	return "", provisioning.Job{}, errors.ErrUnsupported
}
func (x *session) Departure(provisioning.BudgetQuery) (provisioning.DepartureFacts, error) {
	return provisioning.DepartureFacts{}, errors.ErrUnsupported
}
func (x *session) Settings(int64, int64) (provisioning.SettingsVersion, error) {
	return provisioning.SettingsVersion{}, errors.ErrUnsupported
}
func (x *session) SettingsHistory(int64) ([]provisioning.SettingsVersion, error) {
	return nil, errors.ErrUnsupported
}
func (x *session) Matters(provisioning.MatterQuery, func(provisioning.Matter) error) error {
	return errors.ErrUnsupported
}
func (x *session) Account(scim.ResourceType, string, provisioning.References) (provisioning.Resource, error) {
	return provisioning.Resource{}, errors.ErrUnsupported
}
func (x *session) Accounts(provisioning.AccountQuery, func(provisioning.Resource) error) error {
	return errors.ErrUnsupported
}
func (x *session) Memberships(string, func(provisioning.GroupMember) error) error {
	return errors.ErrUnsupported
}
func (x *session) Changes(int64, int) ([]provisioning.PositionedEntry, int64, error) {
	return nil, 0, errors.ErrUnsupported
}
func (x *session) APIKeys() ([]provisioning.APIKey, error) { return nil, errors.ErrUnsupported }
func (s *Store) APIKey(context.Context, []byte) (string, provisioning.APIKey, error) {
	return "", provisioning.APIKey{}, errors.ErrUnsupported
}
func (x *session) Job(string) (provisioning.Job, error) {
	return provisioning.Job{}, errors.ErrUnsupported
}
func (x *session) Jobs(provisioning.JobKind, int) ([]provisioning.Job, error) {
	return nil, errors.ErrUnsupported
}
