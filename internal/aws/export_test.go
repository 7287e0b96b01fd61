package aws

import "github.com/dalamb/dalamb/internal/access"

// ofAcme holds a key of one environment that may all there.
func ofAcme() access.Actor {
	return access.Actor{Type: access.APIKey, ID: "of-acme", Grant: access.Grant{Role: access.Admin, Environment: "acme"}}
}

// Asked is an operation as a test asks for it.
type Asked struct {
	Name, Method, Path string
	OfTenants          bool
}

// AskedOfLambda lists the operations of AWS's Lambda API that are there.
func AskedOfLambda() []Asked {
	var all []Asked
	for _, o := range operations() {
		if o.invokes || o.serve != nil {
			all = append(all, Asked{o.Name, o.Method, o.Path, o.permit(ofAcme()) == nil})
		}
	}
	return all
}

// AskedOfEventBridge lists those of EventBridge's.
func AskedOfEventBridge() []Asked {
	var all []Asked
	for _, o := range eventsOperations() {
		if o.serve != nil {
			all = append(all, Asked{Name: o.Name, OfTenants: o.permit(ofAcme()) == nil})
		}
	}
	return all
}
