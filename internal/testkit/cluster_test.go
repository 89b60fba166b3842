package testkit

import (
	"net/url"
	"testing"
)

// TestClusterSurvivesCrashes commits a row, ends the cluster without warning in two ways and finds the row again.
func TestClusterSurvivesCrashes(t *testing.T) {
	t.Parallel()
	c := NewCluster(t)
	database := c.Database(t)
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if err := execute(u, "CREATE TABLE kept AS SELECT 1"); err != nil {
		t.Fatal(err)
	}
	for name, crash := range map[string]func() error{
		"immediate stop": func() error { return c.Stop("immediate") },
		"kill":           c.Kill,
	} {
		if err := crash(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := execute(u, "TABLE kept"); err == nil {
			t.Errorf("the cluster still answers after %s", name)
		}
		if err := c.Start(); err != nil {
			t.Fatalf("start after %s: %v", name, err)
		}
		if err := execute(u, "TABLE kept"); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
}
