// The smallest Go server with a slow answer. -drain 0 leaves SIGTERM to the runtime.
package main

import (
	"bytes"
	"context"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

var half = append(bytes.Repeat([]byte("x"), 511), '\n')

func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", strconv.Itoa(2*len(half)))
	w.Write(half)
	if seconds, err := strconv.ParseFloat(r.URL.Query().Get("seconds"), 64); err == nil && r.URL.Path == "/slow" {
		w.(http.Flusher).Flush()
		time.Sleep(time.Duration(seconds * float64(time.Second)))
	}
	w.Write(half)
}

func main() {
	listen := flag.String("listen", ":8080", "address")
	drain := flag.Duration("drain", 0, "how long Shutdown may wait")
	flag.Parse()
	server := &http.Server{Addr: *listen, Handler: http.HandlerFunc(answer)}
	if *drain == 0 {
		log.Fatal(server.ListenAndServe())
	}
	stopped := make(chan os.Signal, 1)
	signal.Notify(stopped, syscall.SIGTERM)
	go server.ListenAndServe()
	<-stopped
	limit, cancel := context.WithTimeout(context.Background(), *drain)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		log.Fatal(err)
	}
}
