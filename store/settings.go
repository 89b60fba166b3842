package store

import (
	"database/sql"
	"encoding/json"

	"meibo/provisioning"
)

const settingsColumns = `s.connection, s.version, s.at, s.actor, s.comment, s.document, s.source`

// Settings implements provisioning.Reader.
func (x *session) Settings(connection, version int64) (provisioning.SettingsVersion, error) {
	text := "select " + settingsColumns + " from settings s where s.connection = $1 and s.tenant = $2"
	args := []any{connection, x.tenant}
	if version != 0 {
		text += " and s.version = $3"
		args = append(args, version)
	}
	var found []provisioning.SettingsVersion
	err := x.settings(text+" order by s.version desc limit 1", args, &found)
	if err == nil && len(found) == 0 {
		return provisioning.SettingsVersion{}, notFound("that version of the connection's settings")
	}
	if err != nil {
		return provisioning.SettingsVersion{}, err
	}
	return found[0], nil
}

// SettingsHistory implements provisioning.Reader.
func (x *session) SettingsHistory(connection int64) (all []provisioning.SettingsVersion, err error) {
	err = x.settings("select "+settingsColumns+" from settings s where s.connection = $1 and s.tenant = $2 order by s.version desc",
		[]any{connection, x.tenant}, &all)
	return all, err
}

func (x *session) settings(text string, args []any, all *[]provisioning.SettingsVersion) error {
	return x.query(text, args, func(rows *sql.Rows) error {
		var v provisioning.SettingsVersion
		var at instant
		var written document
		if err := rows.Scan(&v.Connection, &v.Version, &at, &v.Actor, &v.Comment, &written, &v.Source); err != nil {
			return err
		}
		v.At = at.Time
		*all = append(*all, v)
		return decode(written, &(*all)[len(*all)-1].Settings)
	})
}

// saveSettings puts the next version of a connection's settings in force.
func (x *session) saveSettings(v *provisioning.SettingsVersion) error {
	written, err := json.Marshal(v.Settings)
	if err != nil {
		return err
	}
	now, version, err := x.lockConnection(v.Connection)
	if err != nil {
		return err
	}
	if version != v.Version-1 {
		return x.fail(errOvertaken)
	}
	s := statement{dialect: x.dialect}
	s.add("insert into settings (tenant, connection, version, at, actor, comment, document, source) values (",
		s.arg(x.tenant), ", ", s.arg(v.Connection), ", ", s.arg(v.Version), ", ", s.typed(x.time(v.At), "timestamptz"), ", ",
		s.arg(v.Actor), ", ", s.arg(v.Comment), ", ", s.json(written), ", ", s.arg(v.Source), ")")
	if _, err := x.exec("settings", s.String(), s.args...); err != nil {
		return err
	}
	if _, err := x.exec("connection", "update connection set settings_version = $2 where id = $1", v.Connection, v.Version); err != nil {
		return err
	}
	return x.putProtocol(v.Connection, now, v.Settings.Protocol)
}

// lockConnection reads what is in force on a connection, and keeps it so until the unit of work ends. Writers of
// group keys share a lock on the connection's row, which this takes alone.
func (x *session) lockConnection(id int64) (now provisioning.ConnectionSettings, version int64, err error) {
	lock := ""
	if x.postgres {
		lock = " for update"
	}
	found, err := x.row("select patch_response, unknown_members, unique_group_names, paused, settings_version from connection where id = $1 and tenant = $2"+lock,
		[]any{id, x.tenant}, &now.PatchResponse, &now.UnknownMembers, &now.UniqueGroupNames, &now.Paused, &version)
	if err == nil && !found {
		err = notFound("the connection")
	}
	return now, version, err
}

// putProtocol writes a connection's choices where clients differ. It rewrites the keys of the connection's groups
// when their names become unique or cease to be.
func (x *session) putProtocol(connection int64, now, next provisioning.ConnectionSettings) error {
	if now == next {
		return nil
	}
	_, err := x.exec("connection", "update connection set patch_response = $2, unknown_members = $3, unique_group_names = $4, paused = $5 where id = $1",
		connection, string(next.PatchResponse), string(next.UnknownMembers), next.UniqueGroupNames, next.Paused)
	if err != nil || now.UniqueGroupNames == next.UniqueGroupNames {
		return err
	}
	groups := provisioning.Scope{Connection: connection, Type: "Group"}
	key := x.cast("$2", "text") + " || name"
	args := []any{laneOf(groups), scopedKey(groups, "")}
	if !next.UniqueGroupNames {
		key += " || " + x.cast("$3", "text") + " || id"
		args = append(args, keySuffix(""))
	}
	if _, err = x.exec("resource", "update resource set key = "+key+" where lane = $1", args...); err == errKeyTaken {
		err = provisioning.Taken("displayName")
	}
	return err
}
