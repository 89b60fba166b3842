package store

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"meibo/provisioning"
)

// TestSettledSession opens databases whose defaults are other ones than meibo's: they do not count.
func TestSettledSession(t *testing.T) {
	t.Parallel()
	for _, setting := range []struct{ name, value string }{
		{"default_transaction_isolation", "repeatable read"},
		{"default_transaction_isolation", "serializable"},
		{"client_encoding", "LATIN1"},
	} {
		admin := openTest(t, Options{URL: onPostgres(t)})
		var name string
		must(t, admin.reads.Raw("select current_database()").Row().Scan(&name))
		must(t, admin.reads.Exec("alter database "+name+" set "+setting.name+" = '"+setting.value+"'").Error)
		asked := strings.ReplaceAll(with(t, admin.options.URL, setting.name, setting.value), "+", "%20") // as pgx wants it
		for _, database := range []string{admin.options.URL, asked} {
			s := openTest(t, Options{URL: database})
			var isolation, within, encoding string
			must(t, s.writes.Raw("show transaction_isolation").Row().Scan(&isolation))
			must(t, s.writes.Raw("show client_encoding").Row().Scan(&encoding))
			tx := s.writes.Begin()
			must(t, tx.Raw("show transaction_isolation").Row().Scan(&within))
			must(t, tx.Rollback().Error)
			if isolation != "read committed" || within != isolation || encoding != "UTF8" {
				t.Errorf("%s = %s: a statement is %s, a transaction %s, texts are %s", setting.name, setting.value, isolation, within, encoding)
			}
		}
	}
}

// TestEncodingIsRefused has a database that has no place for most names.
func TestEncodingIsRefused(t *testing.T) {
	t.Parallel()
	admin := openTest(t, Options{URL: onPostgres(t)})
	var name string
	must(t, admin.reads.Raw("select current_database() || '_latin'").Row().Scan(&name))
	must(t, admin.reads.Exec("create database "+name+" encoding 'LATIN1' locale 'C' template template0").Error)
	database, err := url.Parse(admin.options.URL)
	must(t, err)
	database.Path = "/" + name
	_, err = Open(context.Background(), Options{URL: database.String()})
	if err == nil || !strings.Contains(err.Error(), "encoding is LATIN1") || provisioning.KindOf(err) == provisioning.Unavailable {
		t.Errorf("%v", err)
	}
	must(t, admin.reads.Exec("drop database "+name+" with (force)").Error)
}
