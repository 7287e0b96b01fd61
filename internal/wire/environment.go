package wire

// Environment is an environment beside production, and how much of everything it has.
type Environment struct {
	Name      string `json:"name"`
	Functions int    `json:"functions"`
	Triggers  int    `json:"triggers"` // routes included, without those of asynchronous calls
	Secrets   int    `json:"secrets"`
	Config    int    `json:"config"`
	Topics    int    `json:"topics"`
	Lag       int64  `json:"lag"` // events that its triggers have not finished

	LagPartial bool `json:"lagPartial,omitempty"` // at least so many: of some triggers it is not wholly known
}

// EnvironmentList is the answer to GET /v1/environments.
type EnvironmentList struct {
	Environments []Environment `json:"environments"`
}

// EnvironmentRemoved is what went with an environment, by full names.
type EnvironmentRemoved struct {
	Name      string   `json:"name"`
	Functions []string `json:"functions"`
	Secrets   []string `json:"secrets"`
	Config    []string `json:"config"`
	Topics    []string `json:"topics"`  // that stay
	Waiting   int64    `json:"waiting"` // events that its triggers had not finished; they end as discarded
}
