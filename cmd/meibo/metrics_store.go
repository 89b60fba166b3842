package main

import (
	"context"
	"database/sql"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"meibo/store"
)

// scrapeTimeout is how long /metrics waits for the database. What it does not answer is left out.
const scrapeTimeout = 2 * time.Second

// storeCollector reads the figures of the store when they are asked for.
type storeCollector struct {
	pools func() map[string]sql.DBStats
	lag   func(context.Context) (store.Lag, error)
	now   func() time.Time
}

var (
	poolConnections = prometheus.NewDesc("meibo_db_connections", "Connections to the database by pool and state.", []string{"pool", "state"}, nil)
	poolLimit       = prometheus.NewDesc("meibo_db_connections_limit", "Connections that a pool may have at once.", []string{"pool"}, nil)
	poolWaits       = prometheus.NewDesc("meibo_db_waits_total", "How often work waited for a connection of a pool.", []string{"pool"}, nil)
	poolWaited      = prometheus.NewDesc("meibo_db_wait_seconds_total", "Time that work waited for connections of a pool.", []string{"pool"}, nil)
	lagWaiting      = prometheus.NewDesc("meibo_follower_waiting_entries", "Journal entries that the follower has yet to give a position.", nil, nil)
	lagSeconds      = prometheus.NewDesc("meibo_follower_lag_seconds", "Age of the journal entry that waits longest for its position; 0 while none waits.", nil, nil)
)

// Describe implements prometheus.Collector.
func (storeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolLimit, poolWaits, poolWaited, lagWaiting, lagSeconds} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	for name, p := range c.pools() {
		out <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(p.InUse), name, "in_use")
		out <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(p.Idle), name, "idle")
		out <- prometheus.MustNewConstMetric(poolLimit, prometheus.GaugeValue, float64(p.MaxOpenConnections), name)
		out <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(p.WaitCount), name)
		out <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, p.WaitDuration.Seconds(), name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	lag, err := c.lag(ctx)
	if err != nil { // meibo_ready tells that the database does not answer
		return
	}
	var behind time.Duration
	if !lag.Oldest.IsZero() {
		behind = max(0, c.now().Sub(lag.Oldest))
	}
	out <- prometheus.MustNewConstMetric(lagWaiting, prometheus.GaugeValue, float64(lag.Waiting))
	out <- prometheus.MustNewConstMetric(lagSeconds, prometheus.GaugeValue, behind.Seconds())
}
