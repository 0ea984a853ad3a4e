// Command mongod is a stand-in: MongoDB's wire protocol over SQLite (FerretDB), told by the few flags that a throw-away
// server is given. It is no replica set and knows no users, no oplog, no views and no time series.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/FerretDB/wire"
	"github.com/FerretDB/wire/wirebson"
)

func main() {
	place := flag.String("dbpath", "", "directory of the data")
	port := flag.String("port", "27017", "port")
	address := flag.String("bind_ip", "127.0.0.1", "address")
	for _, each := range []string{"setParameter", "wiredTigerCacheSizeGB"} {
		flag.String(each, "", "without meaning here")
	}
	for _, each := range []string{"nounixsocket", "quiet"} {
		flag.Bool(each, false, "without meaning here")
	}
	flag.Parse()
	if err := serve(filepath.Clean(*place), net.JoinHostPort(*address, *port)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(100)
	}
}

func serve(place, address string) error {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: "127.0.0.1:0"},
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		Handler:   "sqlite",
		SQLiteURL: "file:" + place + "/",
	})
	if err != nil {
		return err
	}
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go accept(listener, server)
	return server.Run(told)
}

func accept(listener net.Listener, server *ferretdb.FerretDB) {
	there, err := url.Parse(server.MongoDBURI()) // waits until it serves
	if err != nil {
		panic(err)
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go relay(client, there.Host)
	}
}

// relay hands messages on until one side hangs up.
func relay(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		io.Copy(client, server)
	}()
	reader, writer := bufio.NewReader(client), bufio.NewWriter(server)
	for {
		header, body, err := wire.ReadMessage(reader)
		if err != nil {
			return
		}
		if message, ok := body.(*wire.OpMsg); ok {
			body = plain(message)
			whole, err := body.MarshalBinary()
			if err != nil {
				return
			}
			header.MessageLength = int32(wire.MsgHeaderLen + len(whole))
		}
		if wire.WriteMessage(writer, header, body) != nil || writer.Flush() != nil {
			return
		}
	}
}

// plain is a message without an option of indexes that mongorestore adds for servers of long ago: mongod ignores it,
// FerretDB refuses it.
func plain(message *wire.OpMsg) *wire.OpMsg {
	command, err := message.RawSection0().Decode()
	if err != nil || command.Command() != "createIndexes" {
		return message
	}
	command, err = message.RawSection0().DecodeDeep()
	if err != nil {
		return message
	}
	indexes, ok := command.Get("indexes").(*wirebson.Array)
	for i := 0; ok && i < indexes.Len(); i++ {
		if index, ok := indexes.Get(i).(*wirebson.Document); ok {
			index.Remove("ns")
		}
	}
	if changed, err := wire.NewOpMsg(command); err == nil {
		return changed
	}
	return message
}
