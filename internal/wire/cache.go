package wire

// CachePurge says what is to be emptied of the caches of a function's routes.
type CachePurge struct {
	Route string `json:"route,omitempty"` // the trigger's name; "" = all that have a cache
	Path  string `json:"path,omitempty"`  // "" = all
}

// CachePurged says that every node is told.
type CachePurged struct {
	Function string   `json:"function"`
	Routes   []string `json:"routes"` // those that have a cache, sorted
	Path     string   `json:"path,omitempty"`
}
