package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"meibo/provisioning"
	"meibo/scim"
)

// errOvertaken says that facts which a write relied on are no longer so: the unit of work runs again.
var errOvertaken = errors.New("store: overtaken by another writer")

// errContended ends a unit of work that was overtaken too often.
var errContended = &provisioning.Error{Kind: provisioning.Unavailable,
	Detail: "too many writers are changing the same resources; send the request again"}

// errClosed answers a unit of work that comes after Close.
var errClosed = &provisioning.Error{Kind: provisioning.Unavailable, Detail: "the store is closed"}

func unavailable(cause error) error {
	return &provisioning.Error{Kind: provisioning.Unavailable,
		Detail: "the database cannot serve now; the same request may succeed later", Err: cause}
}

func notFound(what string) error {
	return &provisioning.Error{Kind: provisioning.NotFound, Detail: what + " does not exist"}
}

// translate turns an error of a driver into one of the contract. Attribute values, which
// PostgreSQL puts into details and some messages, do not survive it.
func translate(ctx context.Context, err error) error {
	if err == nil { // by far the most: what follows allocates
		return nil
	}
	var known *provisioning.Error
	var pg *pgconn.PgError
	var lite *sqlite.Error
	var weak weakError // as encoding, of a connection that was opened later
	var encoding encodingError
	var connect *pgconn.ConnectError
	switch {
	case errors.Is(err, errOvertaken), errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &connect): // whatever PostgreSQL says to it
		return unavailable(err)
	case errors.As(err, &pg):
		return translatePostgres(pg)
	case errors.As(err, &lite):
		return translateSQLite(lite)
	case isNetwork(err), errors.As(err, &weak), errors.As(err, &encoding):
		return unavailable(err)
	default:
		return err
	}
}

func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, errSilent) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		pgconn.SafeToRetry(err)
}

// translatePostgres goes by SQLSTATE (PostgreSQL manual, appendix A).
func translatePostgres(err *pgconn.PgError) error {
	cause := fmt.Errorf("postgres: SQLSTATE %s, table %q, constraint %q", err.Code, err.TableName, err.ConstraintName)
	switch class := err.Code[:min(2, len(err.Code))]; {
	case err.Code == "23505":
		return violation(err.ConstraintName, cause)
	case err.Code == "23503":
		return missing(err.TableName, cause)
	case err.Code == "40001", err.Code == "40P01": // serialization failure, deadlock
		return errOvertaken
	case class == "08", class == "53", class == "57", class == "58", err.Code == "55P03",
		err.Code == "25006", err.Code == "25P03", err.Code == "25P04": // read-only; a transaction idle, or open, for too long
		return unavailable(cause)
	case class == "22": // messages of data exceptions quote the data
		return cause
	default:
		return fmt.Errorf("%w: %s", cause, err.Message)
	}
}

// translateSQLite goes by result code (sqlite.org/rescode.html); messages name columns, not constraints.
func translateSQLite(err *sqlite.Error) error {
	const (
		busy, locked, readOnly, ioError, full, cannotOpen = 5, 6, 8, 10, 13, 14
		foreignKey, primaryKey, unique                    = 787, 1555, 2067
	)
	switch err.Code() {
	case unique, primaryKey:
		_, columns, _ := strings.Cut(err.Error(), "constraint failed: UNIQUE constraint failed: ")
		columns, _, _ = strings.Cut(columns, " (")
		return violation(sqliteConstraints[columns], err)
	case foreignKey:
		return missing("", err)
	}
	switch err.Code() & 0xff {
	case busy, locked, readOnly, ioError, full, cannotOpen:
		return unavailable(err)
	default:
		return err
	}
}

// sqliteConstraints gives the columns of SQLite's messages the names that PostgreSQL's constraints have.
var sqliteConstraints = map[string]string{
	"resource.id":                           "resource_pkey",
	"resource.key":                          "resource_key",
	"resource.eff_key":                      "resource_eff_key",
	"member.grp, member.member":             "member_open",
	"tenant.name":                           "tenant_pkey",
	"connection.tenant, connection.name":    "connection_name",
	"settings.connection, settings.version": "settings_pkey",
	"matter.open_key":                       "matter_open_key",
}

// violation is the error of a broken unique constraint.
func violation(constraint string, cause error) error {
	switch constraint {
	case "resource_key":
		return errKeyTaken
	case "resource_pkey":
		return provisioning.Taken("id")
	case "resource_eff_key":
		return provisioning.Taken("userName")
	case "tenant_pkey", "connection_name":
		return provisioning.Taken("name")
	case "member_open", "settings_pkey", "matter_open_key": // what was written was computed from facts that no longer hold
		return errOvertaken
	default:
		return cause
	}
}

// errKeyTaken is the Conflict of resource.key before it is known whose key it is.
var errKeyTaken = provisioning.Taken("name")

// nameTaken names the attribute that is the key of a type.
func nameTaken(t scim.ResourceType) error {
	if t == scim.Group {
		return provisioning.Taken("displayName")
	}
	return provisioning.Taken("userName")
}

// missing is the error of a broken foreign key: an administrative change below a tenant or connection that is not there.
func missing(table string, cause error) error {
	what := "the tenant or connection that this belongs to"
	switch table {
	case "connection", "api_key":
		what = "the tenant"
	case "credential", "settings":
		what = "the connection"
	}
	return &provisioning.Error{Kind: provisioning.NotFound, Detail: what + " does not exist", Err: cause}
}
