package store

import (
	"context"
	"testing"
)

// TestErrorOfOneStatementIsNotTheNextOnes: what the writer lends may fail and be used again, by the same
// caller or by its neighbour in the batch.
func TestErrorOfOneStatementIsNotTheNextOnes(t *testing.T) {
	t.Parallel()
	s := openTest(t, Options{URL: databases[0].url(t)})
	var n int
	must(t, s.writer.do(context.Background(), func(l *lent) error {
		if err := l.db.Exec("insert into nowhere (a) values ($1)", 1).Error; err == nil {
			t.Error("a statement without its table did not fail")
		}
		return s.ask(context.Background(), l.db, "select 7", &n)
	}))
	if n != 7 {
		t.Errorf("read %d, want 7", n)
	}
}
