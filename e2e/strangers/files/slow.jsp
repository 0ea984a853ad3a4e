<%@ page contentType="text/plain" %><%
String seconds = request.getParameter("seconds");
out.println("begin");
out.flush();
Thread.sleep(1000L * (seconds == null ? 0 : Integer.parseInt(seconds)));
out.println("end");
%>
