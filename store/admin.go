package store

import (
	"context"
	"database/sql"

	"meibo/provisioning"
)

// Tenant implements provisioning.Reader.
func (x *session) Tenant() (provisioning.Tenant, error) {
	t := provisioning.Tenant{Name: x.tenant}
	var created instant
	found, err := x.row("select created from tenant where name = $1", []any{x.tenant}, &created)
	if err == nil && !found {
		err = notFound("the tenant")
	}
	t.Created = created.Time
	return t, err
}

const connectionColumns = `c.id, c.name, c.kind, c.patch_response, c.unknown_members, c.unique_group_names, c.paused, c.settings_version, c.debug_until, c.created`

func connectionDest(c *provisioning.Connection, created *instant) []any {
	return []any{&c.ID, &c.Name, &c.Kind, &c.Settings.PatchResponse, &c.Settings.UnknownMembers, &c.Settings.UniqueGroupNames, &c.Settings.Paused, &c.SettingsVersion, debugUntil{c}, created}
}

// debugUntil scans into that field of a connection.
type debugUntil struct{ of *provisioning.Connection }

func (d debugUntil) Scan(v any) error {
	var at instant
	err := at.Scan(v)
	d.of.DebugUntil = at.Time
	return err
}

// Connections implements provisioning.Reader.
func (x *session) Connections() ([]provisioning.Connection, error) {
	var all []provisioning.Connection
	err := x.query("select "+connectionColumns+" from connection c where c.tenant = $1 order by c.name", []any{x.tenant},
		func(rows *sql.Rows) error {
			var c provisioning.Connection
			var created instant
			err := rows.Scan(connectionDest(&c, &created)...)
			c.Created = created.Time
			all = append(all, c)
			return err
		})
	return all, err
}

const credentialColumns = `k.id, k.connection, k.hash, k.hint, k.created, k.expires, k.revoked, k.last_used`

// credentialRow scans credentialColumns.
type credentialRow struct {
	provisioning.Credential
	created, expires, revoked, lastUsed instant
}

func (r *credentialRow) dest() []any {
	return []any{&r.ID, &r.Connection, &r.Hash, &r.Hint, &r.created, &r.expires, &r.revoked, &r.lastUsed}
}

func (r *credentialRow) credential() provisioning.Credential {
	r.Created, r.Expires, r.Revoked, r.LastUsed = r.created.Time, r.expires.Time, r.revoked.Time, r.lastUsed.Time
	return r.Credential
}

// Credentials implements provisioning.Reader.
func (x *session) Credentials(connection int64) ([]provisioning.Credential, error) {
	var all []provisioning.Credential
	err := x.query("select "+credentialColumns+` from credential k where k.connection = $1 and k.tenant = $2 order by k.created, k.id`,
		[]any{connection, x.tenant}, func(rows *sql.Rows) error {
			var r credentialRow
			err := rows.Scan(r.dest()...)
			all = append(all, r.credential())
			return err
		})
	return all, err
}

// CredentialByHash implements provisioning.Reader.
func (x *session) CredentialByHash(hash []byte) (provisioning.Credential, provisioning.Connection, error) {
	var r credentialRow
	var c provisioning.Connection
	var created instant
	found, err := x.row("select "+credentialColumns+", "+connectionColumns+
		" from credential k join connection c on c.id = k.connection where k.hash = $1 and k.tenant = $2",
		[]any{hash, x.tenant}, append(r.dest(), connectionDest(&c, &created)...)...)
	if err == nil && !found {
		err = notFound("the credential")
	}
	c.Created = created.Time
	return r.credential(), c, err
}

// administer makes one administrative change.
func (x *session) administer(a provisioning.AdminChange) error {
	switch {
	case a.CreateTenant != nil:
		_, err := x.exec("tenant", "insert into tenant (name, created) values ($1, $2)",
			a.CreateTenant.Name, x.time(a.CreateTenant.Created))
		return err
	case a.CreateConnection != nil:
		return x.createConnection(a.CreateConnection)
	case a.CreateCredential != nil:
		return x.createCredential(a.CreateCredential)
	case a.RevokeCredential != nil:
		return x.change("credential", "update credential set revoked = coalesce(revoked, $3) where id = $1 and tenant = $2",
			a.RevokeCredential.ID, x.tenant, x.time(a.RevokeCredential.Revoked))
	case a.TouchCredential != nil:
		return x.change("credential", "update credential set last_used = $3 where id = $1 and tenant = $2",
			a.TouchCredential.ID, x.tenant, x.time(a.TouchCredential.LastUsed))
	case a.Heard != nil:
		return x.heard(a.Heard)
	case a.Silence != nil:
		return x.change("connection's traffic", "update hearing set silent = "+x.cast("$3", "timestamptz")+" where connection = $1 and tenant = $2",
			a.Silence.Connection, x.tenant, x.time(a.Silence.Silent))
	case a.DebugConnection != nil:
		return x.change("connection", "update connection set debug_until = "+x.cast("$3", "timestamptz")+" where id = $1 and tenant = $2",
			a.DebugConnection.ID, x.tenant, x.time(a.DebugConnection.DebugUntil))
	case a.SaveSettings != nil:
		return x.saveSettings(a.SaveSettings)
	case a.CreateKey != nil:
		return x.createKey(a.CreateKey)
	case a.RevokeKey != nil:
		return x.change("API key", "update api_key set revoked = coalesce(revoked, $3) where id = $1 and tenant = $2",
			a.RevokeKey.ID, x.tenant, x.time(a.RevokeKey.Revoked))
	case a.TouchKey != nil:
		return x.change("API key", "update api_key set last_used = $3 where id = $1 and tenant = $2",
			a.TouchKey.ID, x.tenant, x.time(a.TouchKey.LastUsed))
	default:
		return nil
	}
}

func (x *session) createConnection(c *provisioning.Connection) error {
	_, err := x.exec("connection", `insert into connection (tenant, name, kind, patch_response, unknown_members, unique_group_names, created)
		values ($1, $2, $3, $4, $5, $6, $7)`, x.tenant, c.Name, c.Kind,
		string(c.Settings.PatchResponse), string(c.Settings.UnknownMembers), c.Settings.UniqueGroupNames, x.time(c.Created))
	if err != nil {
		return err
	}
	_, err = x.row("select id from connection where tenant = $1 and name = $2", []any{x.tenant, c.Name}, &c.ID)
	return err
}

func (x *session) createCredential(k *provisioning.Credential) error {
	// From the connection's row, so that a connection of another tenant takes none.
	n, err := x.exec("credential", `insert into credential (id, tenant, connection, hash, hint, created, expires)
		select `+x.cast("$3", "text")+`, c.tenant, c.id, `+x.cast("$4", "bytea")+", "+x.cast("$5", "text")+", "+
		x.cast("$6", "timestamptz")+", "+x.cast("$7", "timestamptz")+` from connection c where c.id = $1 and c.tenant = $2`,
		k.Connection, x.tenant, k.ID, k.Hash, k.Hint, x.time(k.Created), x.time(k.Expires))
	if err == nil && n == 0 {
		err = notFound("the connection")
	}
	return err
}

// change updates a row that must be there.
func (x *session) change(what, text string, args ...any) error {
	n, err := x.exec(what, text, args...)
	if err == nil && n == 0 {
		err = notFound("the " + what)
	}
	return err
}

// Tenants implements provisioning.Store.
func (s *Store) Tenants(ctx context.Context) (names []string, err error) {
	err = s.session(ctx, "", s.reads).query("select name from tenant order by name", nil, func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		names = append(names, name)
		return err
	})
	return names, err
}

const keyColumns = `k.id, k.holder, k.role, k.hash, k.hint, k.created, k.expires, k.revoked, k.last_used`

// keyRow scans keyColumns.
type keyRow struct {
	provisioning.APIKey
	created, expires, revoked, lastUsed instant
}

func (r *keyRow) dest() []any {
	return []any{&r.ID, &r.Holder, &r.Role, &r.Hash, &r.Hint, &r.created, &r.expires, &r.revoked, &r.lastUsed}
}

func (r *keyRow) key() provisioning.APIKey {
	r.Created, r.Expires, r.Revoked, r.LastUsed = r.created.Time, r.expires.Time, r.revoked.Time, r.lastUsed.Time
	return r.APIKey
}

// APIKey implements provisioning.Store.
func (s *Store) APIKey(ctx context.Context, hash []byte) (tenant string, k provisioning.APIKey, err error) {
	var r keyRow
	found, err := s.session(ctx, "", s.reads).row("select "+keyColumns+", k.tenant from api_key k where k.hash = $1", []any{hash},
		append(r.dest(), &tenant)...)
	if err == nil && !found {
		err = notFound("the API key")
	}
	return tenant, r.key(), err
}

// APIKeys implements provisioning.Reader.
func (x *session) APIKeys() (all []provisioning.APIKey, err error) {
	err = x.query("select "+keyColumns+" from api_key k where k.tenant = $1 order by k.created, k.id", []any{x.tenant}, func(rows *sql.Rows) error {
		var r keyRow
		err := rows.Scan(r.dest()...)
		all = append(all, r.key())
		return err
	})
	return all, err
}

func (x *session) createKey(k *provisioning.APIKey) error {
	_, err := x.exec("api_key", "insert into api_key (id, tenant, holder, role, hash, hint, created, expires) values ($1, $2, $3, $4, $5, $6, $7, $8)",
		k.ID, x.tenant, k.Holder, string(k.Role), k.Hash, k.Hint, x.time(k.Created), x.time(k.Expires))
	return err
}
