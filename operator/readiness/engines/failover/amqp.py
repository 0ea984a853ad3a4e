"""One AMQP connection with one channel on which publishes are confirmed, as something that can be awaited.

The library calls back; whoever waits is told OSError when the connection, or the channel, breaks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

LASTING: Final = pika.BasicProperties(delivery_mode=2)


@dataclass(slots=True)
class Link:
    """`await link.open(parameters)` first. One thing at a time."""

    _connection: Any = None
    _channel: Any = None
    _waiting: asyncio.Future[Any] | None = None
    _returned: bool = False
    _messages: asyncio.Queue[tuple[int, bytes]] = field(default_factory=asyncio.Queue)

    async def open(self, parameters: pika.ConnectionParameters) -> None:
        """Connect, and have publishes confirmed."""
        loop = asyncio.get_running_loop()

        def connect(settle: Callable[[Any], None]) -> None:
            self._connection = AsyncioConnection(
                parameters, settle, self._break, self._break, custom_ioloop=loop
            )

        await self._until(connect)
        self._channel = await self._until(lambda settle: self._connection.channel(on_open_callback=settle))  # fmt: skip
        self._channel.add_on_close_callback(self._break)
        self._channel.add_on_return_callback(self._return)
        await self._until(lambda settle: self._channel.confirm_delivery(self._confirm, settle))

    async def declare(self, queue: str, **arguments: Any) -> None:
        """A durable queue."""
        await self._until(
            lambda settle: self._channel.queue_declare(
                queue, durable=True, arguments=arguments, callback=settle
            )
        )

    async def publish(self, queue: str, body: bytes) -> bool:
        """Whether a message was confirmed, and not returned."""
        self._returned = False
        method = await self._until(lambda _: self._channel.basic_publish("", queue, body, LASTING, mandatory=True))  # fmt: skip
        return method.NAME == "Basic.Ack" and not self._returned

    async def delete(self, queue: str) -> None:
        """A queue with what is in it."""
        await self._until(lambda settle: self._channel.queue_delete(queue, callback=settle))

    async def consume(self, queue: str, dry: float) -> AsyncIterator[bytes]:
        """Messages, each acknowledged when the next is asked for, until none has come for a while."""
        await self._until(
            lambda settle: self._channel.basic_consume(queue, self._message, callback=settle)
        )
        try:
            while True:
                async with asyncio.timeout(dry):
                    tag, body = await self._messages.get()
                yield body
                self._channel.basic_ack(tag)
        except TimeoutError:
            return

    def close(self) -> None:
        """Without waiting for the other side."""
        if self._connection is not None and not (self._connection.is_closed or self._connection.is_closing):  # fmt: skip
            self._connection.close()

    async def _until(self, begin: Callable[[Callable[[Any], None]], object]) -> Any:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            begin(self._settle)
        except AMQPError as error:
            raise OSError(type(error).__name__) from None
        return await self._waiting

    def _settle(self, found: Any) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(found)

    def _break(self, _: Any, error: BaseException) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(OSError(type(error).__name__))

    def _confirm(self, frame: Any) -> None:
        self._settle(frame.method)

    def _return(self, *_: Any) -> None:
        self._returned = True

    def _message(self, _: Any, method: Any, __: Any, body: bytes) -> None:
        self._messages.put_nowait((method.delivery_tag, body))
