package app

import "github.com/dalamb/dalamb/internal/access"

// ofInstallation is who holds a token, where it is for all environments: repositories and images are of none.
func ofInstallation(who func(token string) (access.Actor, error)) func(token string) (access.Actor, error) {
	return func(token string) (access.Actor, error) {
		a, err := who(token)
		if err == nil {
			err = a.Shared()
		}
		return a, err
	}
}
