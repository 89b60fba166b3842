package main

import (
	"database/sql"

	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector reads the figures of the database's connection pools when they are asked for.
type poolCollector struct {
	pools func() map[string]sql.DBStats
}

var (
	poolConnections = prometheus.NewDesc("meibo_db_connections", "Connections to the database by pool and state.", []string{"pool", "state"}, nil)
	poolLimit       = prometheus.NewDesc("meibo_db_connections_limit", "Connections that a pool may have at once.", []string{"pool"}, nil)
	poolWaits       = prometheus.NewDesc("meibo_db_waits_total", "How often work waited for a connection of a pool.", []string{"pool"}, nil)
	poolWaited      = prometheus.NewDesc("meibo_db_wait_seconds_total", "Time that work waited for connections of a pool.", []string{"pool"}, nil)
)

// Describe implements prometheus.Collector.
func (poolCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{poolConnections, poolLimit, poolWaits, poolWaited} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(out chan<- prometheus.Metric) {
	for name, p := range c.pools() {
		out <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(p.InUse), name, "in_use")
		out <- prometheus.MustNewConstMetric(poolConnections, prometheus.GaugeValue, float64(p.Idle), name, "idle")
		out <- prometheus.MustNewConstMetric(poolLimit, prometheus.GaugeValue, float64(p.MaxOpenConnections), name)
		out <- prometheus.MustNewConstMetric(poolWaits, prometheus.CounterValue, float64(p.WaitCount), name)
		out <- prometheus.MustNewConstMetric(poolWaited, prometheus.CounterValue, p.WaitDuration.Seconds(), name)
	}
}
