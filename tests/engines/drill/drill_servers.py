"""Small servers with one behaviour each at SIGTERM: what the engine is tried on."""

FRAME = """
import asyncio, os, signal, sys
slow = 0
async def serve(reader, writer):
    global slow
    try:
        while True:
            head = await reader.readuntil(b"\\r\\n\\r\\n")
            path = head.split()[1].decode()
            if path.startswith("/slow"):
                slow += 1
                writer.write(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n5\\r\\nfirst\\r\\n")
                await writer.drain()
                await asyncio.sleep(float(path.partition("=")[2]))
                writer.write(b"4\\r\\nlast\\r\\n0\\r\\n\\r\\n")
                await writer.drain()
                slow -= 1
            else:
                writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
            await writer.drain()
            if stopping.is_set(): break
    except (asyncio.IncompleteReadError, ConnectionError): pass
    finally: writer.close()
async def main():
    global stopping
    stopping = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    %s
asyncio.run(main())
"""

GRACEFUL = FRAME % (
    "await stopping.wait(); server.close()\n"
    "    while slow: await asyncio.sleep(0.02)\n"
    "    os._exit(0)"
)
ABRUPT = FRAME % "await stopping.wait(); os._exit(0)"
DEAF = FRAME % "await asyncio.sleep(600)"
LAME = FRAME % "await stopping.wait(); await asyncio.sleep(1.0); os._exit(0)"
PATIENT = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
served = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    one, _ = served.accept()
    if one.recv(65536):
        one.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: 2\\r\\n\\r\\nok")
        while one.recv(65536): pass
    one.close()
"""
"""One worker, which waits for its client to close after an answer that announced the end."""
CRASHING = "import sys; sys.exit(3)"
