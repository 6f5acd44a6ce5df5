package config

// Organization is what the users of one organization get together, whatever
// clients they use.
type Organization struct {
	// What they may use; a limit left out does not exist.
	Limits ClientLimits `yaml:"limits"`
}

// ClientLimits bound one caller: a client, one user of it, or an organization.
type ClientLimits struct {
	// Requests and batch entries, and what limits.weights and a policy's cost add.
	Rate Rate `yaml:"rate"`
	// How many of them at once; left out: what rate gives in one of its periods.
	Burst int `yaml:"burst"`
	// Distinct patients released; one rate or several: [500/h, 2000/d].
	Patients Rates `yaml:"patients"`
	// Resources released.
	Entries Rate `yaml:"entries"`
	// Bytes released, "100MiB/h".
	Bytes Rate `yaml:"bytes"`
	// Seconds that the upstream worked, "600/h".
	UpstreamSeconds Rate `yaml:"upstream_seconds"`
	// Calls that were refused with 403, or asked for what is not there or hidden:
	// beyond it all of the caller's are, "60/m".
	Denials Rate `yaml:"denials"`
	// Requests under way at once.
	Concurrent int `yaml:"concurrent"`
}

// Limits bound what is done for anybody.
type Limits struct {
	// Before authentication; IPv6 by /64.
	Address AddressLimits `yaml:"address"`
	// Request body.
	Body Size `yaml:"body" default:"16MiB"`
	// Where counters live: memory, or for several replicas
	// redis://[user:password@]host:port[/db] (rediss:// with TLS).
	State string `yaml:"state" default:"memory"`
	// PEM; trusted for a rediss:// state instead of the system's roots.
	StateCAFile string `yaml:"state_ca_file" path:"certificates"`
	// How many processes share a Redis, at most. While it is away each allows this
	// part of every limit.
	Replicas int `yaml:"replicas" default:"2"`
	// What a request costs of rate beside one.
	Weights Weights `yaml:"weights"`
	// Entries of one batch or transaction.
	Entries int `yaml:"entries" default:"1000"`
	// One resource that the upstream sends.
	Resource Size `yaml:"resource" default:"8MiB"`
	// Read ahead of an answer and judged together.
	Window Size `yaml:"window" default:"4MiB"`
}

// Weights are units of rate; what is left out costs nothing.
type Weights struct {
	// Each _include and _revinclude.
	Include int `yaml:"include"`
	// Each further page of the upstream's that an answer took.
	Page int `yaml:"page"`
}

// AddressLimits bound one address.
type AddressLimits struct {
	// Requests.
	Rate Rate `yaml:"rate" default:"200/s"`
	// How many of them at once.
	Burst int `yaml:"burst" default:"400"`
	// Requests without a good token (401): beyond it the address is heard only
	// with tokens that were good before, "60/m". Left out: no such limit.
	Failures Rate `yaml:"failures"`
}
