// Standin plays any step of the shop on a machine that lacks the step's own language. Its argument is the step's name.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
)

type fact map[string]any

// step answers one event: the facts that follow from it, or an error that is worth another attempt.
type step func(typ string, data fact, attempt int) ([]fact, error)

func pay(_ string, data fact, attempt int) ([]fact, error) {
	switch card := data["card"]; {
	case card == "declined":
		return nil, fmt.Errorf("the bank declines this card")
	case card == "flaky" && attempt < 3:
		return nil, fmt.Errorf("the bank does not answer (attempt %d)", attempt)
	}
	return []fact{state("payment.processed", "pay", data, "total", "email")}, nil
}

func confirm(_ string, data fact, _ int) ([]fact, error) {
	return []fact{state("order.confirmed", "confirm", data, "email")}, nil
}

func ship(_ string, data fact, _ int) ([]fact, error) {
	return []fact{state("order.shipped", "ship", data), state("order.delivered", "ship", data)}, nil
}

func mail(typ string, data fact, _ int) ([]fact, error) {
	log.Printf("mail: order %v: %s", data["order"], typ)
	return nil, nil
}

// state makes the event of a new fact about the order in data, with the named fields of it.
func state(typ, by string, data fact, fields ...string) fact {
	about := fact{"order": data["order"]}
	for _, f := range fields {
		about[f] = data[f]
	}
	return fact{"specversion": "1.0", "type": typ, "source": "/shop/" + by, "subject": data["order"], "data": about}
}

func main() {
	steps := map[string]step{"pay": pay, "confirm": confirm, "ship": ship, "mailer": mail}
	play, ok := steps[os.Args[len(os.Args)-1]]
	if !ok {
		log.Fatalf("standin: no such step; the steps are pay, confirm, ship, mailer")
	}
	serve := func(w http.ResponseWriter, r *http.Request) {
		var data fact
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &data)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		attempt, _ := strconv.Atoi(r.Header.Get("Dalamb-Attempt"))
		facts, err := play(r.Header.Get("Ce-Type"), data, attempt)
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(fact{"errorType": "PaymentRefused", "errorMessage": err.Error()})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(facts)
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(serve)))
}
