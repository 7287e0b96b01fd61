package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// hopsManifest is the lab's web function for more calls at a time than the lab's own takes.
const hopsManifest = `
name: wide
code: web
entry: {type: http, command: [./web], concurrency: 256}
resources: {memory: 256Mi, cpu: 8}
scale: {max: 1}
triggers:
  - {name: wide, route: {method: POST, path: /bench/wide}}
`

// nginxConf passes requests on as the proxy program does; it has places for a directory, a port and where they go.
const nginxConf = `
worker_processes 2;
pid %[1]s/pid;
error_log stderr crit;
events { worker_connections 2048; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream web { server %[3]s; keepalive 256; }
	server {
		listen 127.0.0.1:%[2]d;
		location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`

// hopsRow: how many calls get through a gateway, against a plain reverse proxy before the same server, and nginx where the machine has it.
func hopsRow(ctx context.Context, b *bench) error {
	const turns, slice = 7, 500 * time.Millisecond
	l, err := b.needLab(ctx)
	if err != nil {
		return err
	}
	if err := b.deploy(ctx, l.node, "hops", hopsManifest); err != nil {
		return err
	}
	callers := []*caller{l.caller("/bench/wide"), newCaller(l.proxy)}
	const wide, proxy, nginx = 0, 1, 2
	if url, ok, err := b.nginx(ctx, l.direct); err != nil {
		return err
	} else if ok {
		callers = append(callers, newCaller(url))
	}
	for _, connections := range []int{16, 256} {
		things := make([]func() (float64, error), len(callers))
		for i, c := range callers {
			if _, err := c.calls(ctx, connections, slice); err != nil { // opens the connections
				return err
			}
			things[i] = func() (float64, error) {
				x, err := c.calls(ctx, connections, slice)
				return x.rate, err
			}
		}
		rates, err := inTurns(ctx, b.turns(turns), things...)
		if err != nil {
			return err
		}
		add := func(what string, thing int, t *target) {
			value, of, ratio := rates.against(thing, proxy)
			b.add(line{Case: fmt.Sprintf("%s, %d conn.", what, connections), Unit: "calls/s", Value: value, Yardstick: "same server, net/http proxy", Of: of, Ratio: ratio, Target: t})
		}
		add("http calls", wide, ratioAtLeast(0.8))
		if len(callers) > nginx {
			add("nginx", nginx, nil)
		}
	}
	return nil
}

// nginx starts one before a server; ok is false where the machine has none, which the table says.
func (b *bench) nginx(ctx context.Context, to string) (url string, ok bool, err error) {
	program, err := exec.LookPath("nginx")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			b.note("skipped nginx: it is not installed")
			return "", false, nil
		}
	}
	dir := filepath.Join(b.dir, "nginx")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return "", false, err
	}
	port, err := freePort()
	if err != nil {
		return "", false, err
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, port, strings.Trim(strings.TrimPrefix(to, "http:"), "/")), 0o644); err != nil {
		return "", false, err
	}
	p, err := startChild(exec.CommandContext(context.WithoutCancel(ctx), program, "-p", dir, "-c", conf, "-g", "daemon off;"))
	if err != nil {
		return "", false, err
	}
	b.atEnd(p.stop)
	address := fmt.Sprint("127.0.0.1:", port)
	return "http://" + address + "/", true, p.listens(address)
}
