package provisioning

import "testing"

// TestFaultIsPrintable: an id that somebody has written into the database controls no terminal.
func TestFaultIsPrintable(t *testing.T) {
	t.Parallel()
	var v verifier
	v.fail(7, "x", "entry %s at position %d is not what was sealed", "a\x1b[2J\xffb\r", 7)
	v.fail(8, "y", "a later one")
	if want := "entry a\ufffd[2J\ufffdb\ufffd at position 7 is not what was sealed"; v.Fault == nil || v.Fault.Detail != want {
		t.Errorf("%+v, want %q", v.Fault, want)
	}
}
