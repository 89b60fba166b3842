package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSignal runs the program as a process of its own: it serves as soon as it has printed how,
// and SIGTERM ends it well.
func TestSignal(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// TestMain makes this binary the program when it is called by that name.
	program := filepath.Join(t.TempDir(), "meibo")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	var log lines
	cmd := exec.Command(program, "serve", "--dev", "--listen", "127.0.0.1:0")
	cmd.Dir, cmd.Env, cmd.Stderr = t.TempDir(), []string{}, &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // does nothing once the process has ended
	printed := bufio.NewScanner(out)
	var url, token string
	for url == "" || token == "" {
		if !printed.Scan() {
			t.Fatalf("serve ended early:\n%s", log.text())
		}
		switch name, value, _ := strings.Cut(printed.Text(), "  "); name {
		case "tenant URL":
			url = strings.TrimSpace(value)
		case "token":
			token = strings.TrimSpace(value)
		}
	}
	s := &live{t: t, url: url}
	if a := s.do(http.MethodGet, "/Users", "Bearer "+token, ""); a.status != http.StatusOK {
		t.Errorf("right after the start: %d %s", a.status, a.body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for printed.Scan() { // Wait wants the pipe read to its end
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v\n%s", err, log.text())
	}
}
