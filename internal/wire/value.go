package wire

import "time"

// Secret is what anybody is told about a secret: all but its value.
type Secret struct {
	Name      string    `json:"name"`
	Revision  int       `json:"revision"` // counts the values that it has had
	Changed   time.Time `json:"changed"`
	Functions []string  `json:"functions"` // that take it
	Hooks     []string  `json:"hooks"`     // that take it
	Key       string    `json:"key"`       // the age recipient that it is encrypted for
	Readable  bool      `json:"readable"`  // this node has that key
}

// SecretList is the answer to GET /v1/secrets.
type SecretList struct {
	Secrets []Secret `json:"secrets"`
	Key     string   `json:"key,omitempty"` // the recipient of this node's key; absent = it has none yet
}

// SecretSet is the answer to PUT /v1/secrets/{name}.
type SecretSet struct {
	Secret
	Unchanged bool     `json:"unchanged,omitempty"` // it had this value already
	Warnings  []string `json:"warnings,omitempty"`
}

// ConfigValue is a configuration value.
type ConfigValue struct {
	Name      string    `json:"name"`
	Value     string    `json:"value"`
	Revision  int       `json:"revision"` // counts the values that it has had
	Changed   time.Time `json:"changed"`
	Functions []string  `json:"functions"` // that take it
}

// ConfigList is the answer to GET /v1/config.
type ConfigList struct {
	Config []ConfigValue `json:"config"`
}

// ConfigChange is the body of PUT /v1/config/{name}.
type ConfigChange struct {
	Value string `json:"value"`
}

// ConfigSet is the answer to it.
type ConfigSet struct {
	ConfigValue
	Unchanged bool `json:"unchanged,omitempty"` // it had this value already
}
