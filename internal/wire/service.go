package wire

import "github.com/dalamb/dalamb/internal/function"

// ServiceList lists the services that have instances.
type ServiceList struct {
	Services []ServiceSummary `json:"services"`
}

// ServiceSummary counts the instances of a service.
type ServiceSummary struct {
	Name      string `json:"name"`
	Instances int    `json:"instances"`
	Healthy   int    `json:"healthy"`
}

// Service is a service that is no function, and who serves it.
type Service struct {
	Name      string                     `json:"name"`
	Instances []function.ServiceInstance `json:"instances"`
}

// Watched is one thing that has changed, as it is now.
type Watched struct {
	Kind    string   `json:"kind" enum:"function,service,config,secret"`
	Name    string   `json:"name"`
	Removed bool     `json:"removed,omitempty"` // it is not there any more
	Version int      `json:"version,omitempty"` // of a function: that live points at
	Service *Service `json:"service,omitempty"` // of a service
}
