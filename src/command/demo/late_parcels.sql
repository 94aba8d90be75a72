SELECT o.customer_id, c.name, c.email, o.region,
       count(*) AS late_parcels, sum(o.amount) AS worth
FROM sales.orders o
JOIN crm.customers c ON c.customer_id = o.customer_id
JOIN logistics.shipments s ON s.order_id = o.order_id
WHERE s.delivered_on > s.promised_on
GROUP BY o.customer_id, c.name, c.email, o.region
ORDER BY worth DESC, o.customer_id
LIMIT 6
