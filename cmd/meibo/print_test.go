package main

import (
	"bytes"
	"testing"
	"time"
)

// A userName is chosen by somebody else and must not steer the administrator's terminal.
func TestTableCannotBeSteered(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	table := newTable(&out, "NAME", "WHY")
	table.row("\x1b[2Jken\nroot\tadmin\u202e", "")
	if err := table.flush(); err != nil {
		t.Fatal(err)
	}
	want := "NAME                 WHY\n�[2Jken�root�admin�  -\n"
	if out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"":                          {},
		"2027-01-31":                time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		"2027-01-31T09:00:00+09:00": time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC),
		"90d":                       now.AddDate(0, 0, 90),
		"12h30m":                    now.Add(12*time.Hour + 30*time.Minute),
	} {
		got, err := instant(text, now, ahead)
		if err != nil || !got.Equal(want) {
			t.Errorf("instant(%q, ahead) = %v, %v; want %v", text, got, err, want)
		}
	}
	if got, err := instant("24h", now, back); err != nil || !got.Equal(now.AddDate(0, 0, -1)) {
		t.Errorf("24h ago: %v, %v", got, err)
	}
	for _, text := range []string{"soon", "-3d", "0h", "3 d", "d", "2027-13-01", "1.5d", "999999999d"} {
		if got, err := instant(text, now, ahead); err == nil {
			t.Errorf("instant(%q) = %v, want an error", text, got)
		}
	}
}
