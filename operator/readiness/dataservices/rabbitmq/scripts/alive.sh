#!/bin/sh
# Whether the member's runtime answers at all. Whether it serves is what the readiness probe asks.
PATH=/opt/rabbitmq/sbin:/usr/lib/rabbitmq/bin:$PATH
exec rabbitmq-diagnostics -q ping
