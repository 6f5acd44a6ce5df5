package config

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
)

// Telemetry is what the gateway tells of its own work beside metrics and logs.
type Telemetry struct {
	// Traces of requests; left out: none are made.
	Traces *Traces `yaml:"traces"`
}

// Traces go to an OpenTelemetry collector: each step of a request as a span, with
// the kind of interaction and the outcome, and nothing about whom it concerned.
type Traces struct {
	// OTLP over HTTP, with or without /v1/traces.
	Endpoint string `yaml:"endpoint" required:"https://otel.example.org:4318"`
	// Of all requests, "5%" or 0.05; a client has no say in it.
	Sample Share `yaml:"sample" default:"1%"`
	// Link a trace to the one that the client names in traceparent; its baggage and
	// tracestate are never read.
	LinkClients bool `yaml:"link_clients"`
	// Bearer token for the collector. One line.
	TokenFile string `yaml:"token_file" path:"secret"`
	// PEM; trusted instead of the system's roots.
	CAFile string `yaml:"ca_file" path:"certificates"`
	// The collector may be plain http on another machine.
	InsecureHTTP bool `yaml:"insecure_http"`

	Parsed *url.URL `yaml:"-"` // Endpoint, with /v1/traces
}

// Share is a part of a whole, above 0 and at most 1, written "5%" or 0.05.
type Share float64

func (s Share) String() string { return strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + "%" }

func (s *Share) parse(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v <= 1) {
		return errors.New("is no share; write one above 0, such as 5% or 0.05, up to 100%")
	}
	*s = Share(v)
	return nil
}

func (l *loader) checkTelemetry(t Telemetry) {
	const section = "telemetry.traces"
	if t.Traces == nil {
		return
	}
	u := l.checkEndpoint(section+".endpoint", t.Traces.Endpoint)
	if u == nil {
		return
	}
	if u.Scheme == "http" && !t.Traces.InsecureHTTP && !loopback(u.Hostname()) {
		l.report(section+".endpoint", "is plain http to another machine; write https, or telemetry.traces.insecure_http: true on a network that is protected otherwise")
	}
	if u.Scheme == "http" && t.Traces.TokenFile != "" && !loopback(u.Hostname()) {
		l.report(section+".token_file", "would be sent unprotected; write https")
	}
	if !strings.HasSuffix(u.Path, "/v1/traces") {
		u = u.JoinPath("v1/traces")
	}
	t.Traces.Parsed = u
}
