package spelling

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, prefix string
		known        []string
		want         string
	}{
		{"listn", "", []string{"url", "listen"}, "listen"},
		{"LISTEN", "", []string{"url", "listen"}, "listen"},
		{"connectionSettngs", "", []string{"connections", "connectionSettings"}, "connectionSettings"},
		{"abc", "", []string{"xyz"}, ""},
		{"", "", []string{"ab", "abc"}, "ab"},
		{"listen", "", nil, ""},
		{"MEIBO_FOO", "", []string{"MEIBO_URL"}, "MEIBO_URL"}, // three edits of nine letters
		{"MEIBO_FOO", "MEIBO_", []string{"MEIBO_URL"}, ""},    // of three
	} {
		if got := Nearest(tt.name, tt.prefix, tt.known); got != tt.want {
			t.Errorf("Nearest(%q, %q, %q) is %q, want %q", tt.name, tt.prefix, tt.known, got, tt.want)
		}
	}
}
