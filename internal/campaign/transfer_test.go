package campaign

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// transferBar is what an export or an import of many may take more than one of few.
const transferBar = 64 * mib

// TestTransfer imports a big file, kills the import some times and begins it again, exports what came of it, and has the
// export imported into an empty tenant of the other database: the two exports are the same bytes.
func TestTransfer(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		f := report(t, "export and import", db.name)
		users := times(1000, 100_000)
		dir := t.TempDir()
		from := newDesk(t, db)
		other := databases[0]
		if other.name == db.name {
			other = databases[1]
		}
		few, many := filepath.Join(dir, "few.csv"), filepath.Join(dir, "many.csv")
		staff(t, few, "few", 50)
		staff(t, many, "many", users)
		base := from.meibo("import", "--tenant", "acme", "--connection", "default", "--apply", few)
		killed := from.breakOff(times(2, 5), "import", "--tenant", "acme", "--connection", "default", "--apply", many)
		imported := from.meibo("import", "--tenant", "acme", "--connection", "default", "--apply", many)

		first, second := filepath.Join(dir, "first.csv"), filepath.Join(dir, "second.csv")
		small := from.meibo("export", "--tenant", "acme", "--filter", `userName sw "few"`, "--type", "users", "--output", filepath.Join(dir, "small.csv"))
		exported := from.meibo("export", "--tenant", "acme", "--output", first)
		to := newDesk(t, other)
		copied := to.meibo("import", "--tenant", "acme", "--apply", first)
		to.meibo("export", "--tenant", "acme", "--output", second)
		if !same(t, first, second) {
			t.Errorf("the export of the copy on %s is another", other.name)
		}
		extra := map[string]int64{"importing": imported.memory - base.memory, "exporting": exported.memory - small.memory, "copying": copied.memory - base.memory}
		for what, bytes := range extra {
			if bytes > transferBar {
				t.Errorf("%s %s users takes %s more than 50", what, grouped(users), inMiB(bytes))
			}
		}
		f.done, f.times = fmt.Sprintf("users and their groups imported, with %d SIGKILLs of it, exported, imported on %s and exported again", killed, other.name), users
		f.seen = fmt.Sprintf("0 bytes between the exports; more memory than for 50 users: importing %s, exporting %s; exported in %v, imported on %s in %v",
			inMiB(extra["importing"]), inMiB(extra["exporting"]), exported.took.Round(time.Millisecond), other.name, copied.took.Round(time.Millisecond))
	})
}

// desk is where an administrator runs commands on a database.
type desk struct {
	t           *testing.T
	databaseURL string
	dir         string
}

// cost is what a command took.
type cost struct {
	memory int64 // the most, in bytes
	took   time.Duration
}

func newDesk(t *testing.T, db database) *desk {
	t.Helper()
	d := &desk{t, db.fresh(t), t.TempDir()}
	d.meibo("migrate")
	d.meibo("tenant", "create", "acme")
	return d
}

func (d *desk) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "MEIBO_DATABASE_URL="+d.databaseURL)
	cmd.Dir = d.dir
	var words bytes.Buffer
	cmd.Stderr = &words
	return cmd, &words
}

func (d *desk) meibo(args ...string) cost {
	d.t.Helper()
	began := time.Now()
	cmd, words := d.command(args...)
	if err := cmd.Run(); err != nil {
		d.t.Fatalf("meibo %s: %v\n%s", strings.Join(args, " "), err, words)
	}
	usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{memory: usage.Maxrss << 10, took: time.Since(began)}
}

// breakOff begins a command so often and kills it after a while, and returns how often it was killed before its end.
func (d *desk) breakOff(often int, args ...string) (killed int) {
	d.t.Helper()
	random := rand.New(rand.NewPCG(seed, 15))
	for range often {
		cmd, words := d.command(args...)
		if err := cmd.Start(); err != nil {
			d.t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				d.t.Fatalf("meibo %s: %v\n%s", strings.Join(args, " "), err, words)
			}
			return killed
		case <-time.After(time.Duration(times(300, 3000)+random.IntN(times(300, 10_000))) * time.Millisecond):
			_ = cmd.Process.Kill() // it may have ended by now
			if err := <-ended; err != nil {
				killed++
			}
		}
	}
	return killed
}

// staff writes a file of users, and of groups of a hundred each where they have ids.
func staff(t *testing.T, name, prefix string, users int) {
	t.Helper()
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	id := func(kind string, i int) string {
		return fmt.Sprintf("%s%04x-0000-7000-8000-%012x", kind, len(prefix), i)
	}
	fmt.Fprintln(w, `type,id,userName,displayName,title,name.familyName,emails[type eq "work"].value,emails[type eq "work"].primary,department,active,group`)
	for i := range users {
		name := fmt.Sprintf("%s%06d", prefix, i)
		fmt.Fprintf(w, "User,%s,%s@example.com,Person %d,%s,Family %d,%s@example.com,true,Unit %d,%t,\n",
			id("0000", i), name, i, []string{"'=1+1", "Engineer", `"a, ""b"""`, ""}[i%4], i, name, i%100, i%10 != 0)
	}
	for g := range users / 100 {
		fmt.Fprintf(w, "Group,%s,,%s group %d,,,,,,,\n", id("0001", g), prefix, g)
		for m := range 100 {
			fmt.Fprintf(w, "Member,%s,,Person,,,,,,,%s\n", id("0000", g*100+m), id("0001", g))
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// same compares two files.
func same(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Equal(x, y)
}
